#!lua name=@LIBRARY@
--[[
Podium's function library. backends/redis/client.py puts a name made from a hash of this text where @LIBRARY@
stands, so a library that is already loaded has exactly this text, and releases run side by side.

Every function takes KEYS[1] = {space}:meta and builds the space's other keys from its tag (they share one
slot). Numbers cross as strings or as integers below 2^53 and are never formatted here. Structured arguments
and replies are MessagePack, so that the reply of a commit can be kept and repeated as it was.

Reply of a function that can be refused, first element:
  0 done   1 epoch missing or other   2 catalog version differs   3 log full   4 an old call that came late
Status of one input in a commit:
  0 accepted   1 stale token   2 idempotency key seen   3 user is cold   4 score is not a finite whole number
]]

local DONE, EPOCH, CATALOG, FULL, OLD = 0, 1, 2, 3, 4
local ACCEPTED, STALE, REPLAY, COLD, NOT_FINITE = 0, 1, 2, 3, 4

-- Seconds that the last reply of a process is kept: a lost call is repeated within minutes, or never.
local PROCESS_TTL = '86400'
-- Seconds that a generation of idempotency keys (7 days) outlives its first key: two generations and a day.
local KEYS_TTL = '1296000'
-- Largest whole number that a sorted set's double holds exactly.
local EXACT = 9007199254740992
-- Channel on which a commit that finds nothing to flush announces its space.
local ANNOUNCE = 'podium:announce'

-- The API is not there yet while a library is loaded: each function begins with use_api().
local call, pack, unpack_
local function use_api() call, pack, unpack_ = redis.call, cmsgpack.pack, cmsgpack.unpack end

local function prefix_of(meta) return string.sub(meta, 1, -5) end

local function finite(entry)
  for _, move in ipairs(entry[9]) do
    local score = move[3] == '' and 0 or tonumber(move[4])
    if not score or score ~= score or score > EXACT or score < -EXACT or score % 1 ~= 0 then return false end
  end
  return true
end

-- Everything that can fail for one input, before anything is written for it. The status, and what a stale
-- one is answered with.
local function check(p, entry, generation)
  local user, expected, hash = entry[1], entry[2], entry[6]
  if hash ~= '' then
    if call('SISMEMBER', p .. 'i:' .. generation .. ':' .. user, hash) == 1
      or call('SISMEMBER', p .. 'i:' .. (generation - 1) .. ':' .. user, hash) == 1 then
      return REPLAY
    end
  end
  local token = call('HGET', p .. 'u:' .. user, 't')
  if token then
    if token ~= expected then return STALE, token, call('HGET', p .. 'u:' .. user, 's') end
  else
    if call('HEXISTS', p .. 'cold', user) == 1 then return COLD end
    if expected ~= '' then return STALE, '', '' end
  end
  if not finite(entry) then return NOT_FINITE end
  return ACCEPTED
end

-- Tie rules: 0 ordinal, 1 competition (1, 2, 2, 4), 2 dense (1, 2, 2, 3). A dense board has a second sorted set
-- of its distinct scores.
local COMPETITION, DENSE = 1, 2

-- The rank, from 1, of what stands at a place (from 1) with a score.
local function rank_of(p, board, tie, place, score)
  if tie == COMPETITION then return call('ZCOUNT', p .. 'b:' .. board, '-inf', '(' .. score) + 1 end
  if tie == DENSE then return call('ZRANK', p .. 'd:' .. board, score) + 1 end
  return place
end

local function take_out(p, board, tie, m)
  local key = p .. 'b:' .. board
  if tie ~= DENSE then return call('ZREM', key, m) end
  local score = call('ZSCORE', key, m)
  call('ZREM', key, m)
  if score and call('ZCOUNT', key, score, score) == 0 then call('ZREM', p .. 'd:' .. board, score) end
end

-- Puts a member where it belongs; its rank and its place, both from 1.
local function put(p, board, tie, m, score)
  local key = p .. 'b:' .. board
  if tie == DENSE then take_out(p, board, tie, m) end
  call('ZADD', key, score, m)
  local place = call('ZRANK', key, m) + 1
  if tie == 0 then return place, place end
  score = call('ZSCORE', key, m)
  if tie == DENSE then call('ZADD', p .. 'd:' .. board, score, score) end
  return rank_of(p, board, tie, place, score), place
end

-- The rank and the place of a member, 0 where it is not on the board.
local function find(p, board, tie, m)
  local key = p .. 'b:' .. board
  local place = call('ZRANK', key, m)
  if not place then return 0, 0 end
  place = place + 1
  if tie == 0 then return place, place end
  return rank_of(p, board, tie, place, call('ZSCORE', key, m)), place
end

-- Moves one board: ranks before and after, and the score of the last place that counts where the board is full,
-- else ''; then the places before and after. All from 1, 0 for "not on the board".
local function move(p, m)
  local board, old, new, score, most, tie = m[1], m[2], m[3], m[4], m[5], m[6]
  local key = p .. 'b:' .. board
  local before, from, after, to = 0, 0, 0, 0
  if old ~= '' then
    before, from = find(p, board, tie, old)
    if old ~= new then take_out(p, board, tie, old) end
  end
  if new ~= '' then after, to = put(p, board, tie, new, score) end
  local threshold = ''
  if most > 0 and call('ZCARD', key) >= most then
    threshold = call('ZRANGE', key, most - 1, most - 1, 'WITHSCORES')[2]
  end
  return before, after, threshold, from, to
end

local SUM, AVERAGE, MAX = 0, 1, 2
-- In place of a member's time: groups with equal scores stand in order of their names, as Redis compares bytes and
-- UTF-8 keeps the order of code points.
local NO_TIME = '000000000000'

-- The name of a group as people write it: keys and logs have it percent-encoded, rankings of groups plain.
local function name_of(group)
  if not string.find(group, '%', 1, true) then return group end
  return (string.gsub(group, '%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Brings a group to where its members' scores put it. The sum of the members' scores is kept beside the board in
-- {s}:s: by group, their number in {s}:m: by its name. Reply: {board, group, rank before, after, score or '', members}, places before
-- and after.
local function move_group(p, board, group, aggregate, top, least, tie)
  local groups, members = 'g:' .. board, p .. 'b:' .. board .. ':' .. group
  local name = name_of(group)
  local count, m = call('ZCARD', members), NO_TIME .. name
  local before, from = find(p, groups, tie, m)
  local after, to, score = 0, 0, ''
  if count == 0 or count < least then
    if before > 0 then take_out(p, groups, tie, m) end
    call('HDEL', p .. 'm:' .. groups, name)
  else
    if aggregate == SUM then
      score = call('HGET', p .. 's:' .. groups, group) or '0'
    elseif aggregate == AVERAGE then
      score = string.format('%.17g', tonumber(call('HGET', p .. 's:' .. groups, group) or '0') / count)
    elseif aggregate == MAX then
      score = call('ZRANGE', members, 0, 0, 'WITHSCORES')[2]
    else
      local best, sum = call('ZRANGE', members, 0, top - 1, 'WITHSCORES'), 0
      for i = 2, #best, 2 do sum = sum + tonumber(best[i]) end
      score = string.format('%.17g', sum / (#best / 2))
    end
    after, to = put(p, groups, tie, m, score)
    call('HSET', p .. 'm:' .. groups, name, count)
  end
  if count == 0 then call('HDEL', p .. 's:' .. groups, group) end
  return {board, group, before, after, score, count}, from, to
end

--[[
commit: applies a micro-batch, atomically.
ARGV 1 epoch  2 catalog version  3 process  4 call number (rising per process)  5 generation of idempotency keys
     6 log limit (bytes)  7 inputs: list of
       {user, expected token or '', new token, blob, record, key hash or '', display name or '',
        name changed (bool), moves, boards dropped, instant (ms) at which the user is due next, '0' for never,
        '' where that stays, erased (bool): nothing of the user stays, and the blob is ''}
       move = {board, old member or '', new member or '', score or '', maxParticipants or 0, tie rule}
       and on the board of a group: {..., board of the run, group, aggregate, best members that count, least
       members, change of the group's sum}
Reply: packed {DONE, log id or '', {{ACCEPTED, {before, after, threshold, ...}, {group move, ...}}
       | {STALE, token, blob}
       | {REPLAY} | {COLD} | {NOT_FINITE}, ...}} | packed {EPOCH|CATALOG|FULL|OLD, what is}
A repeated call number is answered with the kept reply and does nothing; a lower one is a lost call that came
after its repetition, and does nothing either.
]]
local function commit(keys, args)
  use_api()
  local meta, p = keys[1], prefix_of(keys[1])
  local process, number = p .. 'p:' .. args[3], args[4]
  local last = call('HMGET', process, 'n', 'r')
  if last[1] == number then return last[2] end
  if last[1] and tonumber(last[1]) > tonumber(number) then return pack({OLD, last[1]}) end

  local known = call('HMGET', meta, 'epoch', 'catalog', 'logged', 'trimmed')
  if known[1] ~= args[1] then return pack({EPOCH, known[1] or ''}) end
  if known[2] ~= args[2] then return pack({CATALOG, known[2] or ''}) end
  local logged = tonumber(known[3] or '0')
  if logged - tonumber(known[4] or '0') >= tonumber(args[6]) then return pack({FULL, ''}) end

  local generation = tonumber(args[5])
  local entries, replies, items = unpack_(args[7]), {}, {}
  local boards, changes = {}, {}
  local function published(board, change)
    local list = changes[board]
    if not list then
      list = {}
      changes[board] = list
      boards[#boards + 1] = board
    end
    list[#list + 1] = change
  end
  for i, entry in ipairs(entries) do
    local user, hash, name = entry[1], entry[6], entry[7]
    local status, token, blob = check(p, entry, generation)
    if status == STALE then
      replies[i] = {STALE, token, blob}
    elseif status ~= ACCEPTED then
      replies[i] = {status}
    else
      local fields, ranks, moved = {'t', entry[3], 's', entry[4]}, {}, {}
      for j, m in ipairs(entry[9]) do
        local before, after, threshold, from, to = move(p, m)
        ranks[3 * j - 2], ranks[3 * j - 1], ranks[3 * j] = before, after, threshold
        if m[3] == '' then
          call('HDEL', p .. 'u:' .. user, m[1])
        elseif m[2] ~= m[3] then
          fields[#fields + 1] = m[1]
          fields[#fields + 1] = m[3]
        end
        published(m[1], {user, name, from, to, m[4], before})
        if m[7] then
          if m[12] ~= '0' then call('HINCRBY', p .. 's:g:' .. m[7], m[8], m[12]) end
          local group, was, is = move_group(p, m[7], m[8], m[9], m[10], m[11], m[6])
          moved[#moved + 1] = group
          published('g:' .. m[7], {name_of(m[8]), string.format('%.0f', group[6]), was, is, group[5], group[3]})
        end
      end
      if entry[12] then
        call('DEL', p .. 'u:' .. user, p .. 'i:' .. generation .. ':' .. user,
          p .. 'i:' .. (generation - 1) .. ':' .. user)
        call('ZREM', p .. 'due', user)
      else
        call('HSET', p .. 'u:' .. user, unpack(fields))
        if #entry[10] > 0 then call('HDEL', p .. 'u:' .. user, unpack(entry[10])) end
      end
      if entry[8] then
        if name == '' then call('HDEL', p .. 'names', user) else call('HSET', p .. 'names', user, name) end
      end
      local due = entry[11]
      if due == '0' then
        call('ZREM', p .. 'due', user)
      elseif due ~= '' then
        call('ZADD', p .. 'due', due, user)
      end
      if hash ~= '' then
        local seen = p .. 'i:' .. generation .. ':' .. user
        if call('SADD', seen, hash) == 1 then call('EXPIRE', seen, KEYS_TTL, 'NX') end
      end
      items[#items + 1] = {user, entry[3], entry[4], entry[5], ranks, moved}
      replies[i] = {ACCEPTED, ranks, moved}
    end
  end

  local id = ''
  if #items > 0 then
    local blob = pack(items)
    local total = call('HINCRBY', meta, 'logged', #blob)
    if call('XLEN', p .. 'log') <= 1 then call('PUBLISH', ANNOUNCE, string.sub(p, 2, -3)) end
    id = call('XADD', p .. 'log', '*', 'v', args[2], 't', total, 'e', blob)
    call('PUBLISH', p .. 'e', blob)
    for _, board in ipairs(boards) do
      local n = call('HINCRBY', p .. 'n', board, 1)
      call('PUBLISH', p .. 'l:' .. board,
        pack({args[1], n, call('ZCARD', p .. 'b:' .. board), changes[board]}))
    end
  end
  local reply = pack({DONE, id, replies})
  call('HSET', process, 'n', number, 'r', reply)
  call('EXPIRE', process, PROCESS_TTL)
  return reply
end

--[[
load: states of users.
ARGV 1 epoch  2.. users
Reply: {DONE, {token, blob} | {'', ''} for a new user | {'cold', token}, ...} | {EPOCH, what is}
]]
local function load(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  local epoch = call('HGET', keys[1], 'epoch')
  if epoch ~= args[1] then return {EPOCH, epoch or ''} end
  local found = {DONE}
  for i = 2, #args do
    local state = call('HMGET', p .. 'u:' .. args[i], 't', 's')
    if state[1] then
      found[i] = state
    else
      local cold = call('HGET', p .. 'cold', args[i])
      found[i] = cold and {'cold', cold} or {'', ''}
    end
  end
  return found
end

--[[
current: one user as of the last commit, and the catalog version that commits must carry.
ARGV 1 epoch  2 user
Reply: {DONE, token or '', blob or '', 1 if the user is cold and the token the one that Postgres holds, version}
  | {EPOCH, what is}
]]
local function current(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  local known = call('HMGET', keys[1], 'epoch', 'catalog')
  if known[1] ~= args[1] then return {EPOCH, known[1] or ''} end
  local state = call('HMGET', p .. 'u:' .. args[2], 't', 's')
  if state[1] then return {DONE, state[1], state[2], 0, known[2] or '0'} end
  local cold = call('HGET', p .. 'cold', args[2])
  return {DONE, cold or '', '', cold and 1 or 0, known[2] or '0'}
end

--[[
newest: the end of the log.
Reply: the id of the newest entry, '' where all entries are flushed
]]
local function newest(keys, args)
  use_api()
  local log = prefix_of(keys[1]) .. 'log'
  if call('XLEN', log) <= 1 then return '' end
  return call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1][1]
end

--[[
behind: where the flusher is.
Reply: the id of the oldest entry that is not flushed, '' where all are
]]
local function behind(keys, args)
  use_api()
  local position = call('HGET', keys[1], 'position')
  local first = call('XRANGE', prefix_of(keys[1]) .. 'log', position and '(' .. position or '-', '+', 'COUNT', 1)[1]
  return first and first[1] or ''
end

--[[
thaw: puts the state of a cold user back, if the user is still cold with the token that Postgres holds.
ARGV 1 epoch  2 user  3 token  4 blob  5.. board, member, ...
Reply: {DONE, 1 if it was put back, 0 if not} | {EPOCH, what is}
]]
local function thaw(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  local epoch = call('HGET', keys[1], 'epoch')
  if epoch ~= args[1] then return {EPOCH, epoch or ''} end
  local user = args[2]
  if call('HGET', p .. 'cold', user) ~= args[3] then return {DONE, 0} end
  local fields = {'t', args[3], 's', args[4]}
  for i = 5, #args do fields[#fields + 1] = args[i] end
  call('HSET', p .. 'u:' .. user, unpack(fields))
  call('HDEL', p .. 'cold', user)
  return {DONE, 1}
end

--[[
evict: makes users cold whose state has the token that Postgres holds, and that nobody changed since.
ARGV 1 epoch  2.. user, token, ...
Reply: {DONE, how many} | {EPOCH, what is}
]]
local function evict(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  local epoch = call('HGET', keys[1], 'epoch')
  if epoch ~= args[1] then return {EPOCH, epoch or ''} end
  local gone = 0
  for i = 2, #args, 2 do
    local key = p .. 'u:' .. args[i]
    if call('HGET', key, 't') == args[i + 1] then
      call('HSET', p .. 'cold', args[i], args[i + 1])
      call('DEL', key)
      gone = gone + 1
    end
  end
  return {DONE, gone}
end

-- Rows of a board, of users with their labels or of groups with the number of their members.
local function rows_of(p, board, first, last)
  local flat = call('ZRANGE', p .. 'b:' .. board, first, last, 'WITHSCORES')
  local users, rows = {}, {}
  for i = 1, #flat, 2 do users[#users + 1] = string.sub(flat[i], 13) end
  if #users == 0 then return rows end
  local labels = string.sub(board, 1, 2) == 'g:' and 'm:' .. board or 'names'
  local names = call('HMGET', p .. labels, unpack(users))
  for i, user in ipairs(users) do
    rows[i] = {user, names[i] or '', flat[2 * i], string.sub(flat[2 * i - 1], 1, 12)}
  end
  return rows
end

--[[
page: rows of a board, with the number of its last change, read in one instant.
ARGV 1 board  2 offset (0-based)  3 limit (at most 1000)  4 user: offset then counts from this user, or ''
     5 tie rule  6 score and 7 member: offset then counts from behind this place, whoever stands there now
Reply: {epoch or '', number, participants, offset or -1 where the user is not on the board,
        {{user, label or '', score, hex time}, ...}, rank of the first row}
]]
local function page(keys, args)
  use_api()
  local p, board = prefix_of(keys[1]), args[1]
  local key, offset, limit, tie = p .. 'b:' .. board, tonumber(args[2]), tonumber(args[3]), tonumber(args[5])
  local number = tonumber(call('HGET', p .. 'n', board) or '0')
  local head = {call('HGET', keys[1], 'epoch') or '', number, call('ZCARD', key)}
  if args[4] ~= '' then
    local m = call('HGET', p .. 'u:' .. args[4], board)
    local place = m and call('ZRANK', key, m)
    if not place then
      head[4], head[5], head[6] = -1, {}, 0
      return head
    end
    offset = math.max(0, offset + place)
  elseif args[6] then
    -- Behind the last place with that score whose member isn't greater: found by halving.
    local low, high = call('ZCOUNT', key, '-inf', '(' .. args[6]), call('ZCOUNT', key, '-inf', args[6])
    while low < high do
      local middle = math.floor((low + high) / 2)
      if call('ZRANGE', key, middle, middle)[1] <= args[7] then low = middle + 1 else high = middle end
    end
    offset = low + offset
  end
  local rows = limit > 0 and rows_of(p, board, offset, offset + limit - 1) or {}
  head[4], head[5] = offset, rows
  head[6] = #rows > 0 and rank_of(p, board, tie, offset + 1, rows[1][3]) or 0
  return head
end

--[[
around: users' places and the rows about them, with the number of the board's last change, read in one instant.
ARGV 1 board  2 tie rule  3.. user, rows above, rows below, ...
Reply: {epoch or '', number, participants, {{place (from 1) or 0, place of the first row, {{user, label or '',
        score, hex time}, ...}, rank of the first row}, ...}}
]]
local function around(keys, args)
  use_api()
  local p, board, tie = prefix_of(keys[1]), args[1], tonumber(args[2])
  local key, places = p .. 'b:' .. board, {}
  for i = 3, #args, 3 do
    local m = call('HGET', p .. 'u:' .. args[i], board)
    local place = m and call('ZRANK', key, m)
    if place then
      local first = math.max(0, place - tonumber(args[i + 1]))
      local rows = rows_of(p, board, first, place + tonumber(args[i + 2]))
      places[#places + 1] = {place + 1, first + 1, rows, rank_of(p, board, tie, first + 1, rows[1][3])}
    else
      places[#places + 1] = {0, 0, {}, 0}
    end
  end
  local number = tonumber(call('HGET', p .. 'n', board) or '0')
  return {call('HGET', keys[1], 'epoch') or '', number, call('ZCARD', key), places}
end

--[[
standing: where users stand on boards, read in one instant.
ARGV user, board, tie rule, ...
Reply: {{rank (from 1) or 0, score or '', label or ''}, ...}
]]
local function standing(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  local found = {}
  for i = 1, #args, 3 do
    local user, board = args[i], args[i + 1]
    local m = call('HGET', p .. 'u:' .. user, board)
    local rank = m and find(p, board, tonumber(args[i + 2]), m) or 0
    if rank > 0 then
      found[#found + 1] = {rank, call('ZSCORE', p .. 'b:' .. board, m), call('HGET', p .. 'names', user) or ''}
    else
      found[#found + 1] = {0, '', ''}
    end
  end
  return found
end

--[[
groups: where groups stand.
ARGV 1 board of the run  2 tie rule  3.. groups
Reply: {{rank (from 1) or 0, score or '', members}, ...}
]]
local function groups(keys, args)
  use_api()
  local p, board = prefix_of(keys[1]), 'g:' .. args[1]
  local found = {}
  for i = 3, #args do
    local m = NO_TIME .. name_of(args[i])
    local rank = find(p, board, tonumber(args[2]), m)
    found[#found + 1] = {rank, rank > 0 and call('ZSCORE', p .. 'b:' .. board, m) or '',
      call('ZCARD', p .. 'b:' .. args[1] .. ':' .. args[i])}
  end
  return found
end

--[[
regroup: computes groups anew from their members, as a rebuild needs it, or after a change of their rules.
ARGV 1 board of the run  2 aggregate  3 best members that count  4 least members  5 tie rule
     6.. group, sum of its members' scores, ...
Reply: 1
]]
local function regroup(keys, args)
  use_api()
  local p, board = prefix_of(keys[1]), args[1]
  for i = 6, #args, 2 do
    call('HSET', p .. 's:g:' .. board, args[i], args[i + 1])
    move_group(p, board, args[i], tonumber(args[2]), tonumber(args[3]), tonumber(args[4]), tonumber(args[5]))
  end
  return 1
end

--[[
catalog: names the catalog version that commits must carry; never goes back.
ARGV 1 version
Reply: the version that now stands, or '' where the space has no epoch
]]
local function catalog(keys, args)
  use_api()
  local known = call('HMGET', keys[1], 'epoch', 'catalog')
  if not known[1] then return '' end
  if tonumber(args[1]) > tonumber(known[2] or '0') then
    call('HSET', keys[1], 'catalog', args[1])
    return args[1]
  end
  return known[2]
end

--[[
trim: forgets the log up to a flushed position, whose own entry stays (design decision 6).
ARGV 1 epoch  2 position (log id)  3 instant of the flush (ms)
Reply: 1, or 0 where the epoch is other or the entry is missing: Redis went back in time
]]
local function trim(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  if call('HGET', keys[1], 'epoch') ~= args[1] then return 0 end
  local entry = call('XRANGE', p .. 'log', args[2], args[2])[1]
  if not entry then return 0 end
  call('XTRIM', p .. 'log', 'MINID', '=', args[2])
  call('HSET', keys[1], 'trimmed', entry[2][4], 'position', args[2], 'flushed_ms', args[3])
  return 1
end

redis.register_function('@LIBRARY@_commit', commit)
redis.register_function('@LIBRARY@_regroup', regroup)
redis.register_function('@LIBRARY@_thaw', thaw)
redis.register_function('@LIBRARY@_evict', evict)
redis.register_function('@LIBRARY@_catalog', catalog)
redis.register_function('@LIBRARY@_trim', trim)
redis.register_function{function_name = '@LIBRARY@_load', callback = load, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_current', callback = current, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_newest', callback = newest, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_behind', callback = behind, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_page', callback = page, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_standing', callback = standing, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_around', callback = around, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_groups', callback = groups, flags = {'no-writes'}}
