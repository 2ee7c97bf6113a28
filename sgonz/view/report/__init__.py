"""A sweep's report drawn: one HTML page, tables for papers, static figures. Values come from `sgonz.reporting`."""
