"""Pure words that every room shares: ids, periods, errors. No I/O, no clock."""
