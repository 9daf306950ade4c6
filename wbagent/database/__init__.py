"""MySQL: connections, facts about the server and the database, and MySQL's own client programs."""
