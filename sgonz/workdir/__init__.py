"""Files in a work folder that coordinator and workers share, one module for each."""
