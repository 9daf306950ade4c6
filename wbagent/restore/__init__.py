"""From a backup back to a database: proven before anything is touched, compared afterwards."""
