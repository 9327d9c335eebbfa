"""Tools for this machine that lab and production stand on: Docker, images, network, progress."""
