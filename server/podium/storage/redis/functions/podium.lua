#!lua name=@LIBRARY@
--[[
Podium's function library. backends/redis/client.py puts a name made from a hash of this text where @LIBRARY@
stands, so a library that is already loaded has exactly this text, and releases run side by side.

Every function takes KEYS[1] = {space}:meta and builds the space's other keys from its tag (they share one
slot). Numbers cross as strings or as integers below 2^53 and are never formatted here. Structured arguments
and replies are MessagePack, so that the reply of a commit can be kept and repeated as it was.

Redis isolates a function but does not roll back. So whatever can raise for a legal input is excluded by a check
before the input's first write, or its size is bounded by who calls, and `unpack` gets a bounded number of values.

Reply of a function that can be refused, first element:
  0 done   1 epoch missing or other   2 catalog version differs   3 log full   4 an old call that came late
  5 another generation of idempotency keys
  6 the log ends before an entry that it had: this server went back in time
  7 not compared with Postgres since this server started: call confirm first
Status of one input in a commit:
  0 accepted   1 stale token   2 idempotency key seen   3 user is cold   4 score is not a finite whole number
  5 the sum of a group's scores would not be exact   6 failed: an error that nobody has thought of
]]

local DONE, EPOCH, CATALOG, FULL, OLD, GENERATION, BEHIND, UNCONFIRMED = 0, 1, 2, 3, 4, 5, 6, 7
local ACCEPTED, STALE, REPLAY, COLD, NOT_FINITE, GROUP_SUM, FAILED = 0, 1, 2, 3, 4, 5, 6

-- Seconds that the last reply of a process is kept: a lost call is repeated within minutes, or never.
local PROCESS_TTL = '86400'
-- Seconds of a generation of idempotency keys. Redis holds the present and the previous one.
local GENERATION_S = 604800
-- Seconds that a generation outlives its first key: three generations and a day, of which the third is for a clock
-- that was a week ahead, so that its generation stood for two weeks.
local KEYS_TTL = '1900800'
-- Milliseconds of log whose events are found together by their idempotency keys, see `original`.
local RECALL_MS = 300000
-- Largest whole number that a sorted set's double holds exactly.
local EXACT = 9007199254740992
-- Sizes up to this are far from where HINCRBY overflows (2^63), whatever one user adds to them.
local SAFE = 4611686018427387904
-- Values of one call of Redis: `unpack` raises at some thousands.
local PIECE = 1000
-- Channel on which a commit that finds nothing to flush announces its space.
local ANNOUNCE = 'podium:announce'

-- The API is not there yet while a library is loaded: each function begins with use_api().
local call, pack, unpack_
local function use_api() call, pack, unpack_ = redis.call, cmsgpack.pack, cmsgpack.unpack end

local function prefix_of(meta) return string.sub(meta, 1, -5) end

-- By the prefix of a space: the epoch that was compared with Postgres, and the token of the rebuild under way.
-- They are kept by this server process alone, not in the data set. So they are gone after a restart, in a
-- promoted replica and in a restored copy, which is when nothing may be written before another comparison.
local confirmed, rebuilding = {}, {}

-- By the prefix of a space: {inputs, microseconds}, how long single inputs have waited for their commits since this
-- server started, as the callers measured it. Of this server process alone, too: it is for jobs that make way.
local waited = {}

-- Whether log id a comes after log id b.
local function is_after(a, b)
  if a == b then return false end
  local ms, number = string.match(a, '^(%d+)-(%d+)$')
  local other_ms, other = string.match(b, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms > other_ms or (ms == other_ms and tonumber(number) > tonumber(other))
end

-- Whether the log ends before an id. `last` is the newest id as the commits of this library noted it. Those of
-- other releases don't, so the log itself is asked before anything is concluded.
local function ends_before(p, last, id)
  if id == '' or (last and not is_after(id, last)) then return false end
  local newest = call('XREVRANGE', p .. 'log', '+', '-', 'COUNT', '1')[1]
  return not newest or is_after(id, newest[1])
end

-- Has everybody refused until a worker has rebuilt the space.
local function close_space(meta, p, epoch, reason)
  call('HSET', meta, 'former', epoch, 'closed', reason)
  call('HDEL', meta, 'epoch')
  confirmed[p] = nil
  call('PUBLISH', ANNOUNCE, string.sub(p, 2, -3))
end

-- Runs step(i) for i from 1 to n. failed(i, problem) hears of a step that raised, and the next ones go on.
local function each(n, step, failed)
  local i = 0
  local function run()
    while i < n do
      i = i + 1
      step(i)
    end
  end
  while i < n do
    local ok, problem = pcall(run)
    if not ok then failed(i, problem) end
  end
end

-- HSET or HDEL of any number of values, in pieces; their number must be even for HSET.
local function in_pieces(command, key, values)
  if #values > 0 and #values <= PIECE then return call(command, key, unpack(values)) end
  for first = 1, #values, PIECE do
    call(command, key, unpack(values, first, math.min(#values, first + PIECE - 1)))
  end
end

-- The generation of idempotency keys, by the clock of Redis alone. The last one is kept: the clock may step back,
-- and that of a promoted replica may be behind, but the generation never is.
local function generation_now(meta, kept)
  local generation = math.floor(tonumber(call('TIME')[1]) / GENERATION_S)
  kept = tonumber(kept or '0')
  if generation <= kept then return kept end
  call('HSET', meta, 'generation', generation)
  return generation
end

local SUM, AVERAGE, MAX = 0, 1, 2

-- Whether every score can be ranked exactly, and every sum of a group's scores be counted: ACCEPTED if so.
-- Whoever only leaves may always do so; a sum that was too large before may shrink.
local function check_scores(p, entry)
  for _, m in ipairs(entry[9]) do
    local score = m[3] == '' and 0 or tonumber(m[4])
    if not score or score ~= score or score > EXACT or score < -EXACT or score % 1 ~= 0 then return NOT_FINITE end
    if m[8] and m[10] <= AVERAGE and m[13] ~= '0' then
      local sum = tonumber(call('HGET', p .. 's:g:' .. m[8], m[9]) or '0')
      local change = tonumber(m[13])
      local after = math.abs(sum + change)
      local grows = sum * change >= 0 or after > math.abs(sum)
      -- A double can't tell 2^53 + 1 from 2^53, so the sum stays below.
      if after >= EXACT and grows and (m[3] ~= '' or after > SAFE) then return GROUP_SUM end
    end
  end
  return ACCEPTED
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
  return check_scores(p, entry)
end

-- Tie rules: 0 ordinal, 1 competition (1, 2, 2, 4), 2 dense (1, 2, 2, 3). A dense board has a second sorted set
-- of its distinct scores.
local COMPETITION, DENSE = 1, 2

-- The rank, from 1, of what stands at a place (from 1) with a score.
local function rank_of(p, board, tie, place, score)
  if tie == COMPETITION then return call('ZCOUNT', p .. 'b:' .. board, '-inf', '(' .. score) + 1 end
  if tie == DENSE then return call('ZCOUNT', p .. 'd:' .. board, '-inf', '(' .. score) + 1 end
  return place
end

local function take_out(p, board, tie, m)
  local key = p .. 'b:' .. board
  if tie ~= DENSE then return call('ZREM', key, m) end
  local score = call('ZSCORE', key, m)
  call('ZREM', key, m)
  if score and call('ZCOUNT', key, score, score) == 0 then
    call('ZREMRANGEBYSCORE', p .. 'd:' .. board, score, score)
  end
end

-- Puts a member where it belongs; its rank and its place, both from 1.
local function put(p, board, tie, m, score)
  local key = p .. 'b:' .. board
  if tie == DENSE then take_out(p, board, tie, m) end
  call('ZADD', key, score, m)
  local place = call('ZRANK', key, m) + 1
  if tie == 0 then return place, place end
  score = call('ZSCORE', key, m)
  if tie == DENSE and call('ZCOUNT', p .. 'd:' .. board, score, score) == 0 then
    call('ZADD', p .. 'd:' .. board, score, score)
  end
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
      -- + 0: of a negative zero, which would be another member of the distinct scores, makes 0.
      score = string.format('%.17g', tonumber(call('HGET', p .. 's:' .. groups, group) or '0') / count + 0)
    elseif aggregate == MAX then
      score = call('ZRANGE', members, 0, 0, 'WITHSCORES')[2]
    else
      local best, sum = call('ZRANGE', members, 0, top - 1, 'WITHSCORES'), 0
      for i = 2, #best, 2 do sum = sum + tonumber(best[i]) end
      score = string.format('%.17g', sum / (#best / 2) + 0)
    end
    after, to = put(p, groups, tie, m, score)
    call('HSET', p .. 'm:' .. groups, name, count)
  end
  if count == 0 then call('HDEL', p .. 's:' .. groups, group) end
  return {board, group, before, after, score, count}, from, to
end

-- Takes back what `move` and `move_group` did: the board and the group stand as they did before.
local function undo_move(p, m, summed)
  local board, old, new, tie = m[1], m[2], m[3], m[6]
  if new ~= '' then take_out(p, board, tie, new) end
  if old ~= '' then put(p, board, tie, old, m[7]) end
  if m[8] then
    if summed then
      local change = m[13]
      change = string.sub(change, 1, 1) == '-' and string.sub(change, 2) or '-' .. change
      call('HINCRBY', p .. 's:g:' .. m[8], m[9], change)
    end
    move_group(p, m[8], m[9], m[10], m[11], m[12], tie)
  end
end

-- Whether a move changes the sum of its group's scores; the other aggregates don't need it.
local function sums(m) return m[8] and m[10] <= AVERAGE and m[13] ~= '0' end

-- Writes what an input has besides moves and state. Again it writes the same.
local function store(p, entry, generation)
  local user, hash, due = entry[1], entry[6], entry[11]
  if entry[12] then
    call('DEL', p .. 'u:' .. user, p .. 'i:' .. generation .. ':' .. user,
      p .. 'i:' .. (generation - 1) .. ':' .. user)
    call('ZREM', p .. 'due', user)
  elseif #entry[10] > 0 then
    in_pieces('HDEL', p .. 'u:' .. user, entry[10])
  end
  if entry[8] then
    local name = entry[7]
    if name == '' then call('HDEL', p .. 'names', user) else call('HSET', p .. 'names', user, name) end
  end
  if due == '0' then
    call('ZREM', p .. 'due', user)
  elseif due ~= '' then
    call('ZADD', p .. 'due', due, user)
  end
  if hash ~= '' then
    local seen = p .. 'i:' .. generation .. ':' .. user
    if call('SADD', seen, hash) == 1 then call('EXPIRE', seen, KEYS_TTL, 'NX') end
  end
end

--[[
commit: applies a micro-batch, atomically.
ARGV 1 epoch  2 catalog version  3 process  4 call number (rising per process)  5 generation of idempotency keys
     6 log limit (bytes)  7 inputs: list of
       {user, expected token or '', new token, blob, record, key hash or '', display name or '',
        name changed (bool), moves, boards dropped, instant (ms) at which the user is due next, '0' for never,
        '' where that stays, erased (bool): nothing of the user stays, and the blob is '',
        what `original` finds the event by or '', event id or ''}
       move = {board, old member or '', new member or '', score or '', maxParticipants or 0, tie rule, old score
         or ''} and on the board of a group: {..., board of the run, group, aggregate, best members that count,
         least members, change of the group's sum}
     8 newest log id of this epoch that the caller knows of, or '': where the log ends before it, the space is closed
     9 single inputs that the caller's calls before this one settled, and 10 the microseconds that they waited; may
       be missing
Reply: packed {DONE, log id or '', {{ACCEPTED, {before, after, threshold, ...}, {group move, ...}}
       | {STALE, token, blob}
       | {REPLAY} | {COLD} | {NOT_FINITE} | {GROUP_SUM} | {FAILED, problem}, ...}, problem or nothing}
       | packed {EPOCH|CATALOG|FULL|OLD|GENERATION|BEHIND|UNCONFIRMED, what is}
A repeated call number is answered with the kept reply and does nothing; a lower one is a lost call that came
after its repetition, and does nothing either.

Even an error that nobody has thought of leaves no input half done: moves are taken back where one raises, before
the state is written; what comes behind the state writes the same again, and is tried again. If what was written
can't be logged, the space gives up its epoch, as a rebuild does: nobody was answered, and it is made from Postgres.
]]
local function commit(keys, args)
  use_api()
  local meta, p = keys[1], prefix_of(keys[1])
  local process, number = p .. 'p:' .. args[3], args[4]
  local last = call('HMGET', process, 'n', 'r')
  if last[1] == number then return last[2] end
  if last[1] and tonumber(last[1]) > tonumber(number) then return pack({OLD, last[1]}) end

  local known = call('HMGET', meta, 'epoch', 'catalog', 'logged', 'trimmed', 'generation', 'last')
  if known[1] ~= args[1] then return pack({EPOCH, known[1] or ''}) end
  if confirmed[p] ~= args[1] then return pack({UNCONFIRMED, ''}) end
  if ends_before(p, known[6], args[8]) then
    close_space(meta, p, args[1], 'behind')
    return pack({BEHIND, ''})
  end
  if known[2] ~= args[2] then return pack({CATALOG, known[2] or ''}) end
  local logged = tonumber(known[3] or '0')
  if logged - tonumber(known[4] or '0') >= tonumber(args[6]) then return pack({FULL, ''}) end
  local generation = generation_now(meta, known[5])
  if generation ~= tonumber(args[5]) then return pack({GENERATION, generation}) end

  if args[9] and args[9] ~= '0' then
    local sum = waited[p] or {0, 0}
    waited[p] = {sum[1] + tonumber(args[9]), sum[2] + tonumber(args[10])}
  end

  local entries, replies, items, recalled = unpack_(args[7]), {}, {}, {}
  local boards, changes = {}, {}
  local at, summed, told, problems = 0, false, 0, nil
  local function published(board, change)
    local list = changes[board]
    if not list then
      list = {}
      changes[board] = list
      boards[#boards + 1] = board
    end
    list[#list + 1] = change
    told = told + 1
  end
  local function text_of(problem) return type(problem) == 'table' and problem.err or tostring(problem) end
  local function again(step)
    return function(i, first)
      local done, second = pcall(step, i)
      problems = text_of(done and first or second)
    end
  end

  each(#entries, function(i)
    local entry = entries[i]
    local user, name = entry[1], entry[7]
    at, told = 0, 0
    local status, token, blob = check(p, entry, generation)
    if status == STALE then
      replies[i] = {STALE, token, blob}
    elseif status ~= ACCEPTED then
      replies[i] = {status}
    else
      local fields, left, ranks, moved = {'t', entry[3], 's', entry[4]}, entry[10], {}, {}
      local dropped = {}  -- boards whose member the state does not keep: it is not even written
      for _, board in ipairs(left) do dropped[board] = true end
      for j, m in ipairs(entry[9]) do
        at, summed = j, false
        local before, after, threshold, from, to = move(p, m)
        ranks[3 * j - 2], ranks[3 * j - 1], ranks[3 * j] = before, after, threshold
        if m[3] == '' then
          left[#left + 1] = m[1]
        elseif m[2] ~= m[3] and not dropped[m[1]] then
          fields[#fields + 1] = m[1]
          fields[#fields + 1] = m[3]
        end
        published(m[1], {user, name, from, to, m[4], before})
        if m[8] then
          if sums(m) then
            call('HINCRBY', p .. 's:g:' .. m[8], m[9], m[13])
            summed = true
          end
          local group, was, is = move_group(p, m[8], m[9], m[10], m[11], m[12], m[6])
          moved[#moved + 1] = group
          published('g:' .. m[8], {name_of(m[9]), string.format('%.0f', group[6]), was, is, group[5], group[3]})
        end
      end
      if not entry[12] then in_pieces('HSET', p .. 'u:' .. user, fields) end
      items[#items + 1] = {user, entry[3], entry[4], entry[5], ranks, moved}
      replies[i] = {ACCEPTED, ranks, moved}
      if entry[13] ~= '' then
        recalled[#recalled + 1] = entry[13]
        recalled[#recalled + 1] = entry[14]
      end
      store(p, entry, generation)
    end
  end, function(i, problem)
    local entry = entries[i]
    if replies[i] then
      local done, second = pcall(store, p, entry, generation)
      problems = text_of(done and problem or second)
      return
    end
    local moves = entry[9]
    for j = 1, at do
      for _, board in ipairs({moves[j][1], moves[j][8] and 'g:' .. moves[j][8] or nil}) do
        if told > 0 then
          table.remove(changes[board])
          told = told - 1
        end
      end
    end
    for j = at, 1, -1 do pcall(undo_move, p, moves[j], j < at and sums(moves[j]) or j == at and summed) end
    replies[i] = {FAILED, text_of(problem)}
  end)

  local id = ''
  if #items > 0 then
    items = pack(items)
    local total = string.format('%.0f', logged + #items)
    local function log() id = call('XADD', p .. 'log', '*', 'v', args[2], 't', total, 'e', items) end
    each(1, log, again(log))
    if id == '' then
      close_space(meta, p, args[1], 'incomplete')
      error(problems, 0)
    end
    local function counted()
      call('HSET', meta, 'logged', total, 'last', id)
      if #recalled > 0 then
        local ms = tonumber(string.match(id, '^%d+'))
        in_pieces('HSET', p .. 'k:' .. math.floor(ms / RECALL_MS), recalled)
      end
    end
    each(1, counted, again(counted))
  end
  local reply = pack({DONE, id, replies, problems})
  local function kept()
    call('HSET', process, 'n', number, 'r', reply)
    call('EXPIRE', process, PROCESS_TTL)
  end
  each(1, kept, again(kept))
  if id ~= '' then
    -- Whoever misses a message reads the board again: its number says so.
    each(#boards + 1, function(i)
      if i > #boards then
        if call('XLEN', p .. 'log') <= 2 then call('PUBLISH', ANNOUNCE, string.sub(p, 2, -3)) end
        call('PUBLISH', p .. 'e', items)
        return
      end
      local board = boards[i]
      if #changes[board] > 0 then
        local n = call('HINCRBY', p .. 'n', board, 1)
        call('PUBLISH', p .. 'l:' .. board,
          pack({args[1], n, call('ZCARD', p .. 'b:' .. board), changes[board]}))
      end
    end, function(_, problem) problems = text_of(problem) end)
    if problems then reply = pack({DONE, id, replies, problems}) end
  end
  return reply
end

--[[
original: the id of the event that an idempotency key was used with first, while Postgres may not have it yet, and
five minutes longer at least. In {s}:k:<n> are those of the log entries of RECALL_MS.
ARGV 1 what the commit named it by
Reply: the event id, or ''
]]
local function original(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  local newest = call('XREVRANGE', p .. 'log', '+', '-', 'COUNT', 1)[1]
  local flushed = call('HGET', keys[1], 'position')
  if not newest then return '' end
  local last = math.floor(tonumber(string.match(newest[1], '^%d+')) / RECALL_MS)
  local first = flushed and math.floor(tonumber(string.match(flushed, '^%d+')) / RECALL_MS) - 1 or last - 1
  for n = last, math.min(first, last - 1), -1 do
    local id = call('HGET', p .. 'k:' .. n, args[1])
    if id then return id end
  end
  return ''
end

--[[
confirm: compares the log with what Postgres, or the caller, knows of it. Before that, nothing is committed.
ARGV 1 epoch  2 log id  3 '1': the entry itself must be there, as the flusher's position must
                          '0': the log must not end before it
Reply: {DONE, ''} | {EPOCH, what is} | {BEHIND, ''}
]]
local function confirm(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  local known = call('HMGET', keys[1], 'epoch', 'last')
  if known[1] ~= args[1] then return {EPOCH, known[1] or ''} end
  local missing
  if args[3] == '1' then
    missing = #call('XRANGE', p .. 'log', args[2], args[2]) == 0
  else
    missing = ends_before(p, known[2], args[2])
  end
  if missing then return {BEHIND, ''} end
  confirmed[p] = args[1]
  return {DONE, ''}
end

--[[
close: has every call refused and announces the space, so that a worker rebuilds it.
ARGV 1 epoch  2 reason
Reply: 1, or 0 where the epoch is other
]]
local function close(keys, args)
  use_api()
  if call('HGET', keys[1], 'epoch') ~= args[1] then return 0 end
  close_space(keys[1], prefix_of(keys[1]), args[1], args[2])
  return 1
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
pace: how those fare who post, for jobs that must not keep them waiting.
Reply: {single inputs and the microseconds that they waited, both since this server started; age in milliseconds of
  the oldest log entry that is not flushed, 0 before the first flush}
]]
local function pace(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  local sum = waited[p] or {0, 0}
  local position = call('HGET', keys[1], 'position')
  local first = position and call('XRANGE', p .. 'log', '(' .. position, '+', 'COUNT', 1)[1]
  local age = 0
  if first then
    local now = call('TIME')
    age = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(string.match(first[1], '^%d+'))
  end
  return {sum[1], sum[2], age}
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
  local fields = {}
  for i = 5, #args do fields[#fields + 1] = args[i] end
  in_pieces('HSET', p .. 'u:' .. user, fields)
  call('HSET', p .. 'u:' .. user, 't', args[3], 's', args[4])
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
  for first = 0, #users - 1, PIECE do
    local names = call('HMGET', p .. labels, unpack(users, first + 1, math.min(#users, first + PIECE)))
    for i = 1, #names do
      local at = first + i
      rows[at] = {users[at], names[i] or '', flat[2 * at], string.sub(flat[2 * at - 1], 1, 12)}
    end
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
rebuild_begin: closes a space for the rebuild with this token; one that was under way is refused from now on.
ARGV 1 token  2 epoch that Redis was seen to have, or ''  3 reason
Reply: 1, or 0 where Redis has another epoch: somebody else has rebuilt the space meanwhile
]]
local function rebuild_begin(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  if (call('HGET', keys[1], 'epoch') or '') ~= args[2] then return 0 end
  if args[2] ~= '' then close_space(keys[1], p, args[2], args[3]) end
  call('HSET', keys[1], 'next', args[1])
  rebuilding[p] = args[1]
  return 1
end

-- Whether a rebuild is still the last one that began, on the server that it began on.
local function may_rebuild(meta, p, token)
  return rebuilding[p] == token and call('HGET', meta, 'next') == token
end

--[[
rebuild_clear: deletes keys of the space.
ARGV 1 token  2.. keys
Reply: 1, or 0 where another rebuild has begun
]]
local function rebuild_clear(keys, args)
  use_api()
  if not may_rebuild(keys[1], prefix_of(keys[1]), args[1]) then return 0 end
  for i = 2, #args do call('UNLINK', args[i]) end
  return 1
end

--[[
rebuild_run: runs commands on keys of the space. A pipeline takes five times as much of the client's time (140 us a
user against 28).
ARGV 1 token  2 packed commands
Reply: 1, or 0 where another rebuild has begun
]]
local function rebuild_run(keys, args)
  use_api()
  if not may_rebuild(keys[1], prefix_of(keys[1]), args[1]) then return 0 end
  for _, command in ipairs(unpack_(args[2])) do call(unpack(command)) end
  return 1
end

--[[
rebuild_groups: computes groups from their members.
ARGV 1 token  2 board of the run  3 aggregate  4 best members that count  5 least members  6 tie rule
     7.. group, sum of its members' scores, ...
Reply: 1, or 0 where another rebuild has begun
]]
local function rebuild_groups(keys, args)
  use_api()
  local p, board = prefix_of(keys[1]), args[2]
  if not may_rebuild(keys[1], p, args[1]) then return 0 end
  for i = 7, #args, 2 do
    call('HSET', p .. 's:g:' .. board, args[i], args[i + 1])
    move_group(p, board, args[i], tonumber(args[3]), tonumber(args[4]), tonumber(args[5]), tonumber(args[6]))
  end
  return 1
end

--[[
rebuild_open: the last step of a rebuild, whose token becomes the epoch: from here on commits are taken.
ARGV 1 token  2 log id of Postgres' position: the first entry of the log  3.. field and value of meta, ...
Reply: 1, or 0 where another rebuild has begun
]]
local function rebuild_open(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  if not may_rebuild(keys[1], p, args[1]) then return 0 end
  call('XADD', p .. 'log', args[2], 'v', '0', 't', '0', 'e', pack({}))
  call('DEL', keys[1])
  for i = 3, #args, 2 do call('HSET', keys[1], args[i], args[i + 1]) end
  call('HSET', keys[1], 'epoch', args[1])
  confirmed[p], rebuilding[p] = args[1], nil
  return 1
end

--[[
undue: takes users off the list of those who are due, if they are neither here nor cold.
ARGV 1 epoch  2.. users
Reply: {DONE, how many} | {EPOCH, what is}
]]
local function undue(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  local epoch = call('HGET', keys[1], 'epoch')
  if epoch ~= args[1] then return {EPOCH, epoch or ''} end
  local gone = 0
  for i = 2, #args do
    if call('EXISTS', p .. 'u:' .. args[i]) == 0 and call('HEXISTS', p .. 'cold', args[i]) == 0 then
      gone = gone + call('ZREM', p .. 'due', args[i])
    end
  end
  return {DONE, gone}
end

--[[
move_due: has a user who is due at an instant be due at another one, unless a commit has done so meanwhile.
ARGV 1 epoch  2 user  3 instant (ms)  4 other instant, or '0' for never
Reply: {DONE, 1 if moved, 0 if not} | {EPOCH, what is}
]]
local function move_due(keys, args)
  use_api()
  local due = prefix_of(keys[1]) .. 'due'
  local epoch = call('HGET', keys[1], 'epoch')
  if epoch ~= args[1] then return {EPOCH, epoch or ''} end
  local at = call('ZSCORE', due, args[2])
  if not at or tonumber(at) > tonumber(args[3]) then return {DONE, 0} end
  if args[4] == '0' then call('ZREM', due, args[2]) else call('ZADD', due, args[4], args[2]) end
  return {DONE, 1}
end

--[[
clear: deletes keys of the space that are no longer needed.
ARGV 1 epoch  2.. keys
Reply: {DONE, how many} | {EPOCH, what is}
]]
local function clear(keys, args)
  use_api()
  local epoch = call('HGET', keys[1], 'epoch')
  if epoch ~= args[1] then return {EPOCH, epoch or ''} end
  local gone = 0
  for i = 2, #args do gone = gone + call('UNLINK', args[i]) end
  return {DONE, gone}
end

--[[
catalog: names the catalog version that commits must carry; never goes back.
ARGV 1 epoch  2 version
Reply: the version that now stands, or '' where the epoch is missing or other
]]
local function catalog(keys, args)
  use_api()
  local known = call('HMGET', keys[1], 'epoch', 'catalog')
  if known[1] ~= args[1] then return '' end
  if tonumber(args[2]) > tonumber(known[2] or '0') then
    call('HSET', keys[1], 'catalog', args[2])
    return args[2]
  end
  return known[2]
end

--[[
trim: forgets the log up to a flushed position, whose own entry stays (docs/decisions/0006-exactly-once.md).
ARGV 1 epoch  2 position (log id)  3 instant of the flush (ms)
Reply: 1, or 0 where the epoch is other or the entry is missing: Redis went back in time
]]
local function trim(keys, args)
  use_api()
  local p = prefix_of(keys[1])
  if call('HGET', keys[1], 'epoch') ~= args[1] then return 0 end
  local entry = call('XRANGE', p .. 'log', args[2], args[2])[1]
  if not entry then return 0 end
  local former = call('HGET', keys[1], 'position') or args[2]
  call('XTRIM', p .. 'log', 'MINID', '=', args[2])
  call('HSET', keys[1], 'trimmed', entry[2][4], 'position', args[2], 'flushed_ms', args[3])
  local first = math.floor(tonumber(string.match(former, '^%d+')) / RECALL_MS) - 1
  local last = math.floor(tonumber(string.match(args[2], '^%d+')) / RECALL_MS) - 2
  for n = math.max(first, last - 10000), last do call('UNLINK', p .. 'k:' .. n) end
  return 1
end

redis.register_function('@LIBRARY@_commit', commit)
redis.register_function('@LIBRARY@_undue', undue)
redis.register_function('@LIBRARY@_move_due', move_due)
redis.register_function('@LIBRARY@_rebuild_run', rebuild_run)
redis.register_function('@LIBRARY@_rebuild_groups', rebuild_groups)
redis.register_function('@LIBRARY@_rebuild_open', rebuild_open)
redis.register_function('@LIBRARY@_thaw', thaw)
-- Functions that free memory, or write over a few bytes, may run when Redis is at `maxmemory`: without them nothing
-- would ever be free again.
redis.register_function{function_name = '@LIBRARY@_evict', callback = evict, flags = {'allow-oom'}}
redis.register_function{function_name = '@LIBRARY@_catalog', callback = catalog, flags = {'allow-oom'}}
redis.register_function{function_name = '@LIBRARY@_trim', callback = trim, flags = {'allow-oom'}}
redis.register_function{function_name = '@LIBRARY@_original', callback = original, flags = {'no-writes'}}
-- These write little or free memory, and are needed most where memory is short.
local function register_always(name, callback)
  redis.register_function{function_name = '@LIBRARY@_' .. name, callback = callback, flags = {'allow-oom'}}
end
register_always('close', close)
register_always('clear', clear)
register_always('rebuild_begin', rebuild_begin)
register_always('rebuild_clear', rebuild_clear)
redis.register_function{function_name = '@LIBRARY@_confirm', callback = confirm, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_load', callback = load, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_current', callback = current, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_newest', callback = newest, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_behind', callback = behind, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_pace', callback = pace, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_page', callback = page, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_standing', callback = standing, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_around', callback = around, flags = {'no-writes'}}
redis.register_function{function_name = '@LIBRARY@_groups', callback = groups, flags = {'no-writes'}}
