"""From a data set and a request to a plan."""
