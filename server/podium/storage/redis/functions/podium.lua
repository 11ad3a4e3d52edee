#!lua name=@LIBRARY@
--[[
Podium's function library. storage/redis/client.py puts a name made from a hash of this text where @LIBRARY@
stands, so a library that is already loaded has exactly this text, and releases run side by side. Whatever crosses
between here and Python is written and read there by storage/redis/wire.py; a test holds the two to each other.

Every function takes KEYS[1] = {space}:meta and builds the space's other keys from its tag (they share one
slot). Numbers cross as strings or as integers below 2^53 and are never formatted here. Structured arguments
and replies are MessagePack, so that the reply of a commit can be kept and repeated as it was.

Redis isolates a function but does not roll back. So whatever can raise for a legal input is excluded by a check
before the input's first write, or its size is bounded by who calls, and `unpack` gets a bounded number of values.
]]

-- Reply of a function that can be refused, first element: done; the epoch is missing or other; the catalog version
-- differs; the log is full; an old call that came late; another generation of idempotency keys; the log ends before
-- an entry that it had, so this server went back in time; not compared with Postgres since this server started
-- (call confirm first).
local DONE, EPOCH, CATALOG, FULL, OLD, GENERATION, BEHIND, UNCONFIRMED = 0, 1, 2, 3, 4, 5, 6, 7
-- Status of one input of a commit: accepted; stale token; idempotency key seen; the user is cold; a score is not a
-- finite whole number; the sum of a group's scores would not be exact; an error that nobody has thought of.
local ACCEPTED, STALE, REPLAY, COLD, NOT_FINITE, GROUP_SUM, FAILED = 0, 1, 2, 3, 4, 5, 6
-- Tie rules: ordinal, competition (1, 2, 2, 4), dense (1, 2, 2, 3).
local ORDINAL, COMPETITION, DENSE = 0, 1, 2
-- How the scores of a group's members make the group's; the fourth is the average of the best.
local SUM, AVERAGE, MAX, TOP = 0, 1, 2, 3

-- The parts of the names of keys and channels that follow {space}: a user's state; a board, and a dense board's second
-- sorted set of its distinct scores; beside a ranking of groups the sums of members' scores and their number; the
-- idempotency keys of a user by generation; ids of events by those keys; the last call of a process; the channel
-- of a board.
local USER, BOARD, DISTINCT, SUMS, COUNTS = 'u:', 'b:', 'd:', 's:', 'm:'
local KEYS, RECALL, PROCESS, CHANNEL = 'i:', 'k:', 'p:', 'l:'
-- Keys that a space has once; EVENTS is the channel of all commits.
local LOG, COLD_USERS, NAMES, NUMBERS, DUE, EVENTS = 'log', 'cold', 'names', 'n', 'due', 'e'
-- A ranking of groups is called by the board of its run behind this.
local GROUPS = 'g:'
-- Fields of a state's hash: token and blob. All others are boards, with the user's member there.
local TOKEN, BLOB = 't', 's'
-- Fields of a log entry: catalog version, bytes of log up to here, the commit. Entries of earlier releases have their
-- items in another field.
local VERSION, TOTAL, COMMIT, FORMER = 'v', 't', 'c', 'e'

-- Values that one input, one move and one item of a commit have in the flat lists in which they cross.
local INPUT, MOVE, ITEM = 8, 6, 4
-- The first byte of a MessagePack list of three, five or six elements. Packed elements may follow it as they are, so
-- a value that came packed, or is needed twice, isn't packed again.
local LIST_OF_3, LIST_OF_5, LIST_OF_6 = '\147', '\149', '\150'

-- Seconds that the last reply of a process is kept: a lost call is repeated within minutes, or never.
local PROCESS_TTL = '86400'
-- Milliseconds after which that time begins anew: not at each call, which would cost a write.
local RENEW_MS = 3600000
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
  local newest = call('XREVRANGE', p .. LOG, '+', '-', 'COUNT', '1')[1]
  return not newest or is_after(id, newest[1])
end

-- Has everybody refused until a worker has rebuilt the space.
local function close_space(meta, p, epoch, reason)
  call('HSET', meta, 'former', epoch, 'closed', reason)
  call('HDEL', meta, 'epoch')
  confirmed[p] = nil
  call('PUBLISH', ANNOUNCE, string.sub(p, 2, -3))
end

-- HSET or HDEL of the first n values, in pieces; n must be even for HSET.
local function in_pieces(command, key, values, n)
  for first = 1, n, PIECE do
    call(command, key, unpack(values, first, math.min(n, first + PIECE - 1)))
  end
end

-- The values of record i in a flat list of records of so many values.
local function record(list, i, width) return unpack(list, width * (i - 1) + 1, width * i) end

-- The generation of idempotency keys, by the clock of Redis alone. The last one is kept: the clock may step back,
-- and that of a promoted replica may be behind, but the generation never is.
local function generation_now(meta, kept)
  local generation = math.floor(tonumber(call('TIME')[1]) / GENERATION_S)
  kept = tonumber(kept or '0')
  if generation <= kept then return kept end
  call('HSET', meta, 'generation', generation)
  return generation
end

-- A board: its name, its tie rule and the keys of its sorted sets.
local function board_of(p, name, tie)
  return {name = name, tie = tie, key = p .. BOARD .. name, distinct = p .. DISTINCT .. name}
end

-- The ranking of the groups of a run, a board as well. The sum of the members' scores is kept beside it by group, their
-- number by the group's name.
local function groups_of(p, run, tie, aggregate, top, least)
  local groups = board_of(p, GROUPS .. run, tie)
  groups.run, groups.members = run, p .. BOARD .. run .. ':'
  groups.sums, groups.counts = p .. SUMS .. groups.name, p .. COUNTS .. groups.name
  groups.aggregate, groups.top, groups.least = aggregate, top, least
  return groups
end

-- The boards of a commit, as they are named in it.
local function boards_of(p, named)
  local boards, rankings = {}, {}
  for i, values in ipairs(named) do
    local name, tie, most, run, group, aggregate, top, least = unpack(values)
    local board = board_of(p, name, tie)
    board.most = most
    if run then
      rankings[run] = rankings[run] or groups_of(p, run, tie, aggregate, top, least)
      board.group, board.groups = group, rankings[run]
    end
    boards[i] = board
  end
  return boards
end

-- The rank, from 1, of what stands at a place (from 1) with a score.
local function rank_of(board, place, score)
  if board.tie == COMPETITION then return call('ZCOUNT', board.key, '-inf', '(' .. score) + 1 end
  if board.tie == DENSE then return call('ZCOUNT', board.distinct, '-inf', '(' .. score) + 1 end
  return place
end

local function take_out(board, m)
  if board.tie ~= DENSE then return call('ZREM', board.key, m) end
  local score = call('ZSCORE', board.key, m)
  call('ZREM', board.key, m)
  if score and call('ZCOUNT', board.key, score, score) == 0 then
    call('ZREMRANGEBYSCORE', board.distinct, score, score)
  end
end

-- Puts a member where it belongs; its rank and its place, both from 1.
local function put(board, m, score)
  if board.tie == DENSE then take_out(board, m) end
  call('ZADD', board.key, score, m)
  local place = call('ZRANK', board.key, m) + 1
  if board.tie == ORDINAL then return place, place end
  score = call('ZSCORE', board.key, m)
  if board.tie == DENSE and call('ZCOUNT', board.distinct, score, score) == 0 then
    call('ZADD', board.distinct, score, score)
  end
  return rank_of(board, place, score), place
end

-- The rank and the place of a member, 0 where it is not on the board.
local function find(board, m)
  local place = call('ZRANK', board.key, m)
  if not place then return 0, 0 end
  place = place + 1
  if board.tie == ORDINAL then return place, place end
  return rank_of(board, place, call('ZSCORE', board.key, m)), place
end

-- Moves one board from an old member to a new one, '' where there is none: ranks before and after, and the score of the
-- last place that counts where the board is full, else ''; then the places before and after. All from 1, 0 for "not on
-- the board".
local function move(board, old, new, score)
  local before, from, after, to = 0, 0, 0, 0
  if old ~= '' then
    before, from = find(board, old)
    if old ~= new then take_out(board, old) end
  end
  if new ~= '' then after, to = put(board, new, score) end
  local threshold, most = '', board.most
  if most > 0 and call('ZCARD', board.key) >= most then
    threshold = call('ZRANGE', board.key, most - 1, most - 1, 'WITHSCORES')[2]
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

-- Brings a group to where its members' scores put it: ranks before and after, its score or '', the number of its members,
-- places before and after.
local function move_group(groups, group)
  local members, name, aggregate = groups.members .. group, name_of(group), groups.aggregate
  local count, m = call('ZCARD', members), NO_TIME .. name
  local before, from = find(groups, m)
  local after, to, score = 0, 0, ''
  if count == 0 or count < groups.least then
    if before > 0 then take_out(groups, m) end
    call('HDEL', groups.counts, name)
  else
    if aggregate == SUM then
      score = call('HGET', groups.sums, group) or '0'
    elseif aggregate == AVERAGE then
      -- + 0: of a negative zero, which would be another member of the distinct scores, makes 0.
      score = string.format('%.17g', tonumber(call('HGET', groups.sums, group) or '0') / count + 0)
    elseif aggregate == MAX then
      score = call('ZRANGE', members, 0, 0, 'WITHSCORES')[2]
    else
      local best, sum = call('ZRANGE', members, 0, groups.top - 1, 'WITHSCORES'), 0
      for i = 2, #best, 2 do sum = sum + tonumber(best[i]) end
      score = string.format('%.17g', sum / (#best / 2) + 0)
    end
    after, to = put(groups, m, score)
    call('HSET', groups.counts, name, count)
  end
  if count == 0 then call('HDEL', groups.sums, group) end
  return before, after, score, count, from, to
end

-- Whether a change of a member's score changes the sum that is kept of its group; the other aggregates don't need it.
local function sums(groups, change) return groups.aggregate <= AVERAGE and change ~= '0' end

-- Takes back what `move` and `move_group` did: the board and the group stand as they did before. `was` is the old
-- member's score; the sum changes back where it was `summed`.
local function undo_move(board, old, new, was, change, summed)
  if new ~= '' then take_out(board, new) end
  if old ~= '' then put(board, old, was) end
  local groups = board.groups
  if groups then
    if summed then
      change = string.sub(change, 1, 1) == '-' and string.sub(change, 2) or '-' .. change
      call('HINCRBY', groups.sums, board.group, change)
    end
    move_group(groups, board.group)
  end
end

-- Whether the scores of moves can be ranked exactly, and the sums of groups' scores be counted: ACCEPTED if so.
-- Whoever only leaves may always do so; a sum that was too large before may shrink.
local function check_scores(boards, moves, first, last)
  for j = first, last do
    local at, _, new, text, _, change = record(moves, j, MOVE)
    local score = new == '' and 0 or tonumber(text)
    if not score or score ~= score or score > EXACT or score < -EXACT or score % 1 ~= 0 then return NOT_FINITE end
    local groups = boards[at].groups
    if groups and sums(groups, change) then
      local sum = tonumber(call('HGET', groups.sums, boards[at].group) or '0')
      change = tonumber(change)
      local after = math.abs(sum + change)
      local grows = sum * change >= 0 or after > math.abs(sum)
      -- A double can't tell 2^53 + 1 from 2^53, so the sum stays below.
      if after >= EXACT and grows and (new ~= '' or after > SAFE) then return GROUP_SUM end
    end
  end
  return ACCEPTED
end

-- The set of a user's idempotency keys in a generation.
local function keys_of(p, generation, user) return p .. KEYS .. generation .. ':' .. user end

local function text_of(problem) return type(problem) == 'table' and problem.err or tostring(problem) end

-- The parts of a commit get the call as a table (see `commit`), not as variables of its own: a closure costs more than
-- a command of Redis does, and is thrown away after each call.

local function run_steps(batch, n, step)
  while batch.step < n do
    batch.step = batch.step + 1
    step(batch, batch.step)
  end
end

-- Runs step(batch, i) for i from 1 to n. failed(batch, i, problem) hears of a step that raised, and the next ones go on.
local function each(batch, n, step, failed)
  batch.step = 0
  while batch.step < n do
    local ok, problem = pcall(run_steps, batch, n, step)
    if not ok then failed(batch, batch.step, text_of(problem)) end
  end
end

-- Runs a step that writes the same when it is run again: a second time where it raised.
local function insist(batch, step, i)
  local ok, first = pcall(step, batch, i)
  if ok then return end
  local done, second = pcall(step, batch, i)
  batch.problem = text_of(done and first or second)
end

-- Everything that can fail for an input, before anything is written for it but its key, which is noted by the same call
-- that looks for it. The status, and what a stale one is answered with.
local function check(batch, user, expected, keyed_since, hash)
  local p, generation = batch.p, batch.generation
  local token = call('HGET', p .. USER .. user, TOKEN)
  if token then
    if token ~= expected then return STALE, token, call('HGET', p .. USER .. user, BLOB) end
  else
    if call('HEXISTS', p .. COLD_USERS, user) == 1 then return COLD end
    if expected ~= '' then return STALE, '', '' end
  end
  -- Whose first key is of this generation has none in the one before.
  if hash ~= '' and keyed_since >= 0 and keyed_since < generation
    and call('SISMEMBER', keys_of(p, generation - 1, user), hash) == 1 then
    return REPLAY
  end
  local status = check_scores(batch.boards, batch.moves, batch.first, batch.last)
  if hash == '' then return status end
  if status ~= ACCEPTED then
    return call('SISMEMBER', keys_of(p, generation, user), hash) == 1 and REPLAY or status
  end
  if call('SADD', keys_of(p, generation, user), hash) == 0 then return REPLAY end
  batch.noted = true
  return ACCEPTED
end

-- The result of the input at work, whatever stood there: its status. Details are for whom it concerns.
local function refuse(batch, i, status, first_text, second_text)
  local results, details = batch.results, batch.details
  batch.size = batch.begun + 1
  results[batch.size] = -status
  if first_text then
    local n = #details
    details[n + 1], details[n + 2], details[n + 3] = i, first_text, second_text
  end
end

-- Has the channel of a board told of a change, once the call is logged.
local function publish(batch, board, change)
  local changes = board.changes
  if not changes then
    changes = {}
    board.changes = changes
    batch.touched[#batch.touched + 1] = board
  end
  changes[#changes + 1] = change
  batch.told = batch.told + 1
  batch.published[batch.told] = board
end

-- Makes move j, and writes down what came of it. `filled` fields of the state's hash are known already; the number with
-- that of this board.
local function make(batch, i, j, user, label, filled)
  local at, old, new, score, _, change = record(batch.moves, j, MOVE)
  local board, results, size = batch.boards[at], batch.results, batch.size
  batch.at, batch.summed = j, false
  local before, after, threshold, from, to = move(board, old, new, score)
  results[size + 1], results[size + 2], results[size + 3] = before, after, threshold
  batch.size = size + 3
  publish(batch, board, {user, label, from, to, score, before})
  local groups, group = board.groups, board.group
  if groups then
    if sums(groups, change) then
      call('HINCRBY', groups.sums, group, change)
      batch.summed = true
    end
    local was, is, total, members, place, new_place = move_group(groups, group)
    local moved = batch.moved
    local n = #moved
    moved[n + 1], moved[n + 2], moved[n + 3], moved[n + 4] = i, groups.run, group, was
    moved[n + 5], moved[n + 6], moved[n + 7] = is, total, members
    publish(batch, groups, {name_of(group), string.format('%.0f', members), place, new_place, total, was})
  end
  if new == '' then
    batch.left = batch.left or {}
    batch.left[#batch.left + 1] = board.name
  elseif old ~= new and not (batch.dropped and batch.dropped[board.name]) then
    batch.fields[filled + 1], batch.fields[filled + 2] = board.name, new
    return filled + 2
  end
  return filled
end

-- Writes what an input has besides moves and state. Again it writes the same.
local function store(batch, i)
  local p, generation, user = batch.p, batch.generation, record(batch.items, i, ITEM)
  local _, label, keyed_since, hash, _, _, rest = record(batch.inputs, i, INPUT)
  local renamed, due, _, erased = false, '', nil, false
  if rest then renamed, due, _, erased = unpack(rest) end
  if erased then
    call('DEL', p .. USER .. user, keys_of(p, generation, user), keys_of(p, generation - 1, user))
    call('ZREM', p .. DUE, user)
  elseif batch.left then
    in_pieces('HDEL', p .. USER .. user, batch.left, #batch.left)
  end
  if renamed then
    if label == '' then call('HDEL', p .. NAMES, user) else call('HSET', p .. NAMES, user, label) end
  end
  if due == '0' then
    call('ZREM', p .. DUE, user)
  elseif due ~= '' then
    call('ZADD', p .. DUE, due, user)
  end
  -- Whose first key is of this generation has a set that was given its time.
  if hash ~= '' and keyed_since < generation then
    call('EXPIRE', keys_of(p, generation, user), KEYS_TTL, 'NX')
  end
end

-- Applies one input whole, or refuses it.
local function take(batch, i)
  local expected, label, keyed_since, hash, recall, event, rest, n = record(batch.inputs, i, INPUT)
  local user, token, state = record(batch.items, i, ITEM)
  batch.first, batch.last, batch.at, batch.summed = batch.last + 1, batch.last + n, batch.last, false
  batch.begun, batch.begun_groups, batch.told = batch.size, #batch.moved, 0
  batch.noted, batch.written = false, false
  local status, token_now, state_now = check(batch, user, expected, keyed_since, hash)
  if status ~= ACCEPTED then return refuse(batch, i, status, token_now, state_now) end
  batch.left, batch.dropped = nil, nil
  if rest then
    batch.left, batch.dropped = rest[3], {}
    for _, board in ipairs(rest[3]) do batch.dropped[board] = true end
  end
  batch.size = batch.size + 1
  batch.results[batch.size] = n
  local fields, filled = batch.fields, 4
  fields[2], fields[4] = token, state
  for j = batch.first, batch.last do filled = make(batch, i, j, user, label, filled) end
  if state ~= '' then in_pieces('HSET', batch.p .. USER .. user, fields, filled) end
  batch.written = true
  batch.accepted = batch.accepted + 1
  if hash ~= '' then
    local n_ids = #batch.recalled
    batch.recalled[n_ids + 1], batch.recalled[n_ids + 2] = recall, event
  end
  store(batch, i)
end

-- An input raised. Behind the state it is finished; before that, what was done is taken back.
local function failed(batch, i, problem)
  if batch.written then
    local ok, second = pcall(store, batch, i)
    batch.problem = ok and problem or text_of(second)
    return
  end
  for k = batch.told, 1, -1 do table.remove(batch.published[k].changes) end
  for j = batch.at, batch.first, -1 do
    local at, old, new, _, was, change = record(batch.moves, j, MOVE)
    local board = batch.boards[at]
    local summed = board.groups and sums(board.groups, change) and (j < batch.at or batch.summed)
    pcall(undo_move, board, old, new, was, change, summed)
  end
  if batch.noted then
    local user, _, _, _, hash = record(batch.items, i, ITEM), record(batch.inputs, i, INPUT)
    pcall(call, 'SREM', keys_of(batch.p, batch.generation, user), hash)
  end
  for k = #batch.results, batch.begun + 1, -1 do batch.results[k] = nil end
  for k = #batch.moved, batch.begun_groups + 1, -1 do batch.moved[k] = nil end
  refuse(batch, i, FAILED, problem, '')
end

local function append(batch)
  batch.id = call('XADD', batch.p .. LOG, '*', VERSION, batch.version, TOTAL, batch.total, COMMIT, batch.entry)
end

-- Notes up to where the log goes, and which events used keys.
local function count(batch)
  call('HSET', batch.meta, 'logged', batch.total, 'last', batch.id)
  if #batch.recalled > 0 then
    local n = math.floor(tonumber(string.match(batch.id, '^%d+')) / RECALL_MS)
    in_pieces('HSET', batch.p .. RECALL .. n, batch.recalled, #batch.recalled)
  end
end

-- Keeps the reply for a repetition of the call.
local function keep(batch)
  local ms, renewed = string.match(batch.id, '^%d+'), batch.renewed
  if renewed and ms and tonumber(ms) - tonumber(renewed) < RENEW_MS then
    call('HSET', batch.process, 'n', batch.number, 'r', batch.reply)
  else
    call('HSET', batch.process, 'n', batch.number, 'r', batch.reply, 'x', ms or '0')
    call('EXPIRE', batch.process, PROCESS_TTL)
  end
end

-- Tells of the changes of a board; the step behind the last board tells of the commit. Whoever misses a message reads
-- the board again: its number says so.
local function tell(batch, i)
  local p, board = batch.p, batch.touched[i]
  if not board then
    if batch.was_flushed then call('PUBLISH', ANNOUNCE, string.sub(p, 2, -3)) end
    call('PUBLISH', p .. EVENTS, batch.entry)
  elseif #board.changes > 0 then
    local number = call('HINCRBY', p .. NUMBERS, board.name, '1')
    local message = pack({batch.epoch, number, call('ZCARD', board.key), board.changes})
    call('PUBLISH', p .. CHANNEL .. board.name, message)
  end
end

local function note(batch, _, problem) batch.problem = problem end

--[[
commit: applies a micro-batch, atomically.
ARGV 1 epoch  2 catalog version  3 process  4 call number (rising per process)
     5 generation of idempotency keys, or '' where the call has neither a key nor an erasure  6 log limit (bytes)
     7 newest log id of this epoch that the caller knows of, or '': where the log ends before it, the space is closed
     8 three packed values. Boards: list of {name, tie rule, maxParticipants or 0} and of the board of a group {..., board of the run,
       group, aggregate, best members that count, least members}
       Inputs: flat list of INPUT values each: expected token or '', display name or '', generation of the user's first
       idempotency key or -1, hash of this one or '', what `original` finds the event by or '', its id or '',
       false or {name changed (bool), instant (ms) at which the user is due next, '0' for never, '' where that stays,
       {board dropped, ...}, erased (bool): nothing of the user stays}, number of moves
       Moves of all inputs: flat list of MOVE values each: index of the board (from 1), old member or '', new member or
       '', score or '', old score or '', change of the group's sum ('0' where there is no group)
     9 packed items of all inputs: flat list of ITEM values each: user, new token, state ('' where erased), record. The
       log has them as they came.
    10 single inputs that the caller's calls before this one settled, and 11 the microseconds that they waited
Reply: packed {DONE, log id or '', details, results, groups, problem or nothing} | packed {EPOCH|CATALOG|FULL|OLD|
       GENERATION|BEHIND|UNCONFIRMED, what is}
       details: flat list: input (from 1), token and blob now of a STALE one, problem and '' of a FAILED one
       results: flat list; of an accepted input the number of its moves, then of each rank before, rank after, score of
         the last place that counts ('' while the board isn't full); of another input its status, negated
       groups: flat list of each group that moved: input (from 1), board of the run, group, rank before, rank after,
         score or '', members
Log entry, and message to EVENTS: packed {items, results, groups}.
Message to the channel of a board: packed {epoch, number, participants, {{user, display name, place before, place after,
       score or '', rank before}, ...}}
A repeated call number is answered with the kept reply and does nothing; a lower one is a lost call that came
after its repetition, and does nothing either.

Even an error that nobody has thought of leaves no input half done: moves are taken back where one raises, before
the state is written; what comes behind the state writes the same again, and is tried again. If what was written
can't be logged, the space gives up its epoch, as a rebuild does: nobody was answered, and it is made from Postgres.
]]
local function commit(keys, args)
  use_api()
  local epoch, version, process, number, generation, limit, reached, rules, packed, singles, singles_us =
    unpack(args)
  local meta, p = keys[1], prefix_of(keys[1])
  process = p .. PROCESS .. process
  local done, renewed = unpack(call('HMGET', process, 'n', 'x'))
  if done == number then return call('HGET', process, 'r') end
  if done and tonumber(done) > tonumber(number) then return pack({OLD, done}) end

  local present, catalog, logged, trimmed, kept, newest =
    unpack(call('HMGET', meta, 'epoch', 'catalog', 'logged', 'trimmed', 'generation', 'last'))
  if present ~= epoch then return pack({EPOCH, present or ''}) end
  if confirmed[p] ~= epoch then return pack({UNCONFIRMED, ''}) end
  if ends_before(p, newest, reached) then
    close_space(meta, p, epoch, 'behind')
    return pack({BEHIND, ''})
  end
  if catalog ~= version then return pack({CATALOG, catalog or ''}) end
  logged, trimmed = tonumber(logged or '0'), tonumber(trimmed or '0')
  if logged - trimmed >= tonumber(limit) then return pack({FULL, ''}) end
  if generation ~= '' then
    local now = generation_now(meta, kept)
    generation = tonumber(generation)
    if generation ~= now then return pack({GENERATION, now}) end
  end

  if singles ~= '0' then
    local inputs, us = unpack(waited[p] or {0, 0})
    waited[p] = {inputs + tonumber(singles), us + tonumber(singles_us)}
  end

  local named, inputs, moves = unpack_(rules)
  local batch = {
    meta = meta, p = p, epoch = epoch, version = version, generation = generation, was_flushed = logged == trimmed,
    process = process, number = number, renewed = renewed,
    inputs = inputs, moves = moves, items = unpack_(packed), boards = boards_of(p, named),
    -- As in the reply, with the number of results; what `original` finds; boards with changes.
    results = {}, size = 0, moved = {}, details = {}, recalled = {}, touched = {}, accepted = 0, problem = false,
    -- The input at work: its moves in the flat list and how far they are done, whether the last of them has changed a
    -- sum; where its results begin; whom its changes were published to; whether its key was noted, its state written.
    first = 1, last = 0, at = 0, summed = false, begun = 0, begun_groups = 0, published = {}, told = 0,
    noted = false, written = false,
    -- Of its state's hash: values to set, used by one input after the other; boards to delete; those of them that the
    -- state has let go of, whose member isn't even written.
    fields = {TOKEN, '', BLOB, ''}, left = nil, dropped = nil,
    step = 0, id = '', total = '', entry = '', reply = '',
  }
  each(batch, #inputs / INPUT, take, failed)

  local outcome = pack(batch.results, batch.moved)
  if batch.accepted > 0 then
    batch.entry = LIST_OF_3 .. packed .. outcome
    batch.total = string.format('%.0f', logged + #batch.entry)
    insist(batch, append)
    if batch.id == '' then
      close_space(meta, p, epoch, 'incomplete')
      error(batch.problem, 0)
    end
    insist(batch, count)
  end
  local answer = pack(DONE, batch.id, batch.details) .. outcome
  local problem = batch.problem
  batch.reply = problem and LIST_OF_6 .. answer .. pack(problem) or LIST_OF_5 .. answer
  insist(batch, keep)
  if batch.accepted > 0 then each(batch, #batch.touched + 1, tell, note) end
  return batch.problem == problem and batch.reply or LIST_OF_6 .. answer .. pack(batch.problem)
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
  local newest = call('XREVRANGE', p .. LOG, '+', '-', 'COUNT', 1)[1]
  local flushed = call('HGET', keys[1], 'position')
  if not newest then return '' end
  local last = math.floor(tonumber(string.match(newest[1], '^%d+')) / RECALL_MS)
  local first = flushed and math.floor(tonumber(string.match(flushed, '^%d+')) / RECALL_MS) - 1 or last - 1
  for n = last, math.min(first, last - 1), -1 do
    local id = call('HGET', p .. RECALL .. n, args[1])
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
    missing = #call('XRANGE', p .. LOG, args[2], args[2]) == 0
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
    local state = call('HMGET', p .. USER .. args[i], TOKEN, BLOB)
    if state[1] then
      found[i] = state
    else
      local cold = call('HGET', p .. COLD_USERS, args[i])
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
  local state = call('HMGET', p .. USER .. args[2], TOKEN, BLOB)
  if state[1] then return {DONE, state[1], state[2], 0, known[2] or '0'} end
  local cold = call('HGET', p .. COLD_USERS, args[2])
  return {DONE, cold or '', '', cold and 1 or 0, known[2] or '0'}
end

--[[
newest: the end of the log.
Reply: the id of the newest entry, '' where all entries are flushed
]]
local function newest(keys, args)
  use_api()
  local log = prefix_of(keys[1]) .. LOG
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
  local first = call('XRANGE', prefix_of(keys[1]) .. LOG, position and '(' .. position or '-', '+', 'COUNT', 1)[1]
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
  local inputs, us = unpack(waited[p] or {0, 0})
  local position = call('HGET', keys[1], 'position')
  local first = position and call('XRANGE', p .. LOG, '(' .. position, '+', 'COUNT', 1)[1]
  local age = 0
  if first then
    local s, fraction = unpack(call('TIME'))
    age = s * 1000 + math.floor(fraction / 1000) - tonumber(string.match(first[1], '^%d+'))
  end
  return {inputs, us, age}
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
  if call('HGET', p .. COLD_USERS, user) ~= args[3] then return {DONE, 0} end
  local fields = {}
  for i = 5, #args do fields[#fields + 1] = args[i] end
  in_pieces('HSET', p .. USER .. user, fields, #fields)
  call('HSET', p .. USER .. user, TOKEN, args[3], BLOB, args[4])
  call('HDEL', p .. COLD_USERS, user)
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
    local key = p .. USER .. args[i]
    if call('HGET', key, TOKEN) == args[i + 1] then
      call('HSET', p .. COLD_USERS, args[i], args[i + 1])
      call('DEL', key)
      gone = gone + 1
    end
  end
  return {DONE, gone}
end

-- Rows of a board, of users with their labels or of groups with the number of their members.
local function rows_of(p, board, first, last)
  local flat = call('ZRANGE', board.key, first, last, 'WITHSCORES')
  local users, rows = {}, {}
  for i = 1, #flat, 2 do users[#users + 1] = string.sub(flat[i], 13) end
  if #users == 0 then return rows end
  local labels = string.sub(board.name, 1, 2) == GROUPS and COUNTS .. board.name or NAMES
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
  local p = prefix_of(keys[1])
  local board, offset, limit = board_of(p, args[1], tonumber(args[5])), tonumber(args[2]), tonumber(args[3])
  local key, number = board.key, tonumber(call('HGET', p .. NUMBERS, board.name) or '0')
  local head = {call('HGET', keys[1], 'epoch') or '', number, call('ZCARD', key)}
  if args[4] ~= '' then
    local m = call('HGET', p .. USER .. args[4], board.name)
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
  head[6] = #rows > 0 and rank_of(board, offset + 1, rows[1][3]) or 0
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
  local p, places = prefix_of(keys[1]), {}
  local board = board_of(p, args[1], tonumber(args[2]))
  for i = 3, #args, 3 do
    local m = call('HGET', p .. USER .. args[i], board.name)
    local place = m and call('ZRANK', board.key, m)
    if place then
      local first = math.max(0, place - tonumber(args[i + 1]))
      local rows = rows_of(p, board, first, place + tonumber(args[i + 2]))
      places[#places + 1] = {place + 1, first + 1, rows, rank_of(board, first + 1, rows[1][3])}
    else
      places[#places + 1] = {0, 0, {}, 0}
    end
  end
  local number = tonumber(call('HGET', p .. NUMBERS, board.name) or '0')
  return {call('HGET', keys[1], 'epoch') or '', number, call('ZCARD', board.key), places}
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
    local user, board = args[i], board_of(p, args[i + 1], tonumber(args[i + 2]))
    local m = call('HGET', p .. USER .. user, board.name)
    local rank = m and find(board, m) or 0
    if rank > 0 then
      found[#found + 1] = {rank, call('ZSCORE', board.key, m), call('HGET', p .. NAMES, user) or ''}
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
  local board, found = groups_of(prefix_of(keys[1]), args[1], tonumber(args[2])), {}
  for i = 3, #args do
    local m = NO_TIME .. name_of(args[i])
    local rank = find(board, m)
    found[#found + 1] = {rank, rank > 0 and call('ZSCORE', board.key, m) or '', call('ZCARD', board.members .. args[i])}
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
  local p = prefix_of(keys[1])
  if not may_rebuild(keys[1], p, args[1]) then return 0 end
  local aggregate, top, least, tie = tonumber(args[3]), tonumber(args[4]), tonumber(args[5]), tonumber(args[6])
  local ranking = groups_of(p, args[2], tie, aggregate, top, least)
  for i = 7, #args, 2 do
    call('HSET', ranking.sums, args[i], args[i + 1])
    move_group(ranking, args[i])
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
  call('XADD', p .. LOG, args[2], VERSION, '0', TOTAL, '0', FORMER, pack({}))
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
    if call('EXISTS', p .. USER .. args[i]) == 0 and call('HEXISTS', p .. COLD_USERS, args[i]) == 0 then
      gone = gone + call('ZREM', p .. DUE, args[i])
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
  local due = prefix_of(keys[1]) .. DUE
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
  local entry = call('XRANGE', p .. LOG, args[2], args[2])[1]
  if not entry then return 0 end
  local former = call('HGET', keys[1], 'position') or args[2]
  call('XTRIM', p .. LOG, 'MINID', '=', args[2])
  local _, _, _, total = unpack(entry[2]) -- its first fields: VERSION, its value, TOTAL, its value
  call('HSET', keys[1], 'trimmed', total, 'position', args[2], 'flushed_ms', args[3])
  local first = math.floor(tonumber(string.match(former, '^%d+')) / RECALL_MS) - 1
  local last = math.floor(tonumber(string.match(args[2], '^%d+')) / RECALL_MS) - 2
  for n = math.max(first, last - 10000), last do call('UNLINK', p .. RECALL .. n) end
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
