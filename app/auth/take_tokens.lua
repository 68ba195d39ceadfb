-- Takes tokens from several buckets at once, or from none. Time is the server's, so that no process's clock matters.
-- Tokens beyond those needed are leased: for as long as they may be spent, the bucket holds so many less, so that no
-- more can pass in any time than the bucket's capacity and what is refilled in that time.
-- KEYS: the processes that ask, then the buckets. ARGV: the asking process, seconds of a lease, then for each bucket
-- what is needed, wanted and given back (negative: was used without asking), its capacity, its tokens per second (0: a
-- quota), for how many seconds to keep it, and how full it can be by what the process knows.
-- Answers {1 taken | 0 refused | -1 a quota is not known, how many processes ask, then granted and left of each}.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60)
redis.call('EXPIRE', KEYS[1], 120)
local slot = math.floor(now / tonumber(ARGV[2]))
local answer = {1, redis.call('ZCARD', KEYS[1])}
local buckets = {}
for index = 2, #KEYS do
    local at = 2 + (index - 2) * 7
    local bucket = {
        need = tonumber(ARGV[at + 1]), want = tonumber(ARGV[at + 2]), given = tonumber(ARGV[at + 3]),
        capacity = tonumber(ARGV[at + 4]), per_s = tonumber(ARGV[at + 5]), kept_s = tonumber(ARGV[at + 6]),
        leased = 0, leased_before = 0
    }
    if bucket.per_s > 0 then
        local known = redis.call('HMGET', KEYS[index], 'level', 'at', 'slot', 'leased', 'leased_before')
        bucket.level = bucket.capacity
        if known[1] then
            bucket.level = tonumber(known[1]) + math.max(0, now - tonumber(known[2])) * bucket.per_s
            if tonumber(known[3]) == slot then
                bucket.leased, bucket.leased_before = tonumber(known[4]), tonumber(known[5])
            elseif tonumber(known[3]) == slot - 1 then
                bucket.leased_before = tonumber(known[4])
            end
        end
        local room = bucket.capacity - bucket.leased - bucket.leased_before
        bucket.level = math.min(math.min(bucket.level, bucket.capacity) + bucket.given, tonumber(ARGV[at + 7]), room)
    else
        local used = redis.call('GET', KEYS[index])
        if not used then
            return {-1, answer[2], index - 1}
        end
        bucket.level = math.min(bucket.capacity - tonumber(used) + bucket.given, tonumber(ARGV[at + 7]))
    end
    buckets[index] = bucket
    if bucket.level < bucket.need then
        answer[1] = 0
    end
end
for index = 2, #KEYS do
    local bucket, granted = buckets[index], 0
    if answer[1] == 1 then
        granted = math.min(bucket.want, math.floor(bucket.level))
        bucket.leased = bucket.leased + granted - bucket.need
    end
    bucket.level = bucket.level - granted
    if bucket.per_s > 0 then
        redis.call('HSET', KEYS[index], 'level', string.format('%.6f', bucket.level), 'at', string.format('%.6f', now),
            'slot', slot, 'leased', bucket.leased, 'leased_before', bucket.leased_before)
    else
        redis.call('SET', KEYS[index], string.format('%.0f', bucket.capacity - bucket.level))
    end
    redis.call('EXPIRE', KEYS[index], bucket.kept_s)
    answer[#answer + 1] = granted
    -- Rounded down: nearly enough is not enough.
    answer[#answer + 1] = string.format('%.3f', math.floor(bucket.level * 1000) / 1000)
end
return answer
