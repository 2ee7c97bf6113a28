"""What people and scripts are shown, as plain values; sgonz.view draws them."""
