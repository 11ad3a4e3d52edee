"""The stores: Redis (client, keys, the function library), Postgres (pool, migrations), and embedded servers."""
