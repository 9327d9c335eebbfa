"""The parts of the staging cloud: nodes, database, load balancer, keys and configuration."""
