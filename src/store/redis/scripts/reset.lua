-- Forgets what a key has counted. KEYS: the clock, the counter, its set of holds. ARGV[1]: [instant or 0].
-- Holds of it find another counter, or none: they know its generation.
read_state(0, 0)
arrive(cjson.decode(ARGV[1])[1])
redis.call('DEL', KEYS[2], KEYS[3])
write_state()
return 1
