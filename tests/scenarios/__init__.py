"""Stories: what happens to a user, day by day, as data that anybody can read. ``README.md`` says how to write
one."""
