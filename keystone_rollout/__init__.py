"""The installed distribution: dags, plugins, include and docs are folders beside this file."""
