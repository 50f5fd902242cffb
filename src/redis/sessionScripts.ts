// What the engine does with a session, each in one script: nobody sees half of it, and nobody comes between.
//
// The keys of a session hold its name as their hash tag, so a cluster keeps them together:
//   <prefix>{sid}    a hash: head, owner, fence, seq, epoch, rx, acked, last, voids, posted, posters, keep, suspect
//   <prefix>{sid}:m  a stream: the messages that have a number, as the entry <number>-0. Numbers only ever grow and are pruned from
//                    the front, which is what a stream is made for: some hundred entries to a node, trimmed as a whole
//   <prefix>{sid}:w  a hash by `seq`: the messages that have none. They leave in any order (priority, age), which leaves holes in a
//                    stream, and after a restart a `seq` may come again that a stream would refuse
//   <prefix>{sid}:i  a stream: what other processes have posted
//
// `owner` is a node for as long as it lives, `fence` counts the owners: every write carries both, and one that does not match has no
// effect. `seq` counts the batches of one owner, without a gap: one that comes twice (its answer was lost) counts once, and
// one that is missing means that the engine has lost what it had confirmed (a failover, a power cut with `everysec`).

import { Script } from './Script.ts'

/** A full engine runs those only that may: `flags` says so. */
const script = (name: string, flags: string, body: string) =>
  new Script(name, `#!lua${flags}\n${body.trim()}\n`)

/**
 * Records a batch. ARGV: owner, fence, seq, the epoch it holds, ms to keep (below 0: of what is new only), then what to do, each a
 * letter and its arguments.
 * 1: done; 0: another epoch; 3: another owner; -1: there is no such session; -2: the engine has lost writes, and the session with them is
 * removed. With an end: {1, what was still in the inbox}.
 */
const WRITE = `
local s, m, w, i = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local known = redis.call('HMGET', s, 'owner', 'fence', 'seq', 'epoch')
local begins = ARGV[6] == 'B'
if begins then
  if known[2] then
    if known[1] == ARGV[1] and known[2] == ARGV[2] and known[3] == ARGV[3] then return 1 end
    return 0
  end
else
  if not known[2] then return -1 end
  if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return 3 end
  local last, seq = tonumber(known[3]), tonumber(ARGV[3])
  if seq <= last then return 1 end
  if seq > last + 1 then
    redis.call('DEL', s, m, w, i)
    return -2
  end
  local highest = tonumber(known[4])
  if highest > tonumber(ARGV[4]) then return 0 end
  local n = 6
  while ARGV[n] do
    local what = ARGV[n]
    if what == 'E' then
      local epoch = tonumber(ARGV[n + 1])
      if epoch <= highest then return 0 end
      highest = epoch
    end
    n = n + 1 + (({ B = 1, A = 2, D = 1, N = 3, V = 1, P = 1, R = 1, E = 1, X = 0, T = 1 })[what])
  end
end
local n, left = 6, nil
while ARGV[n] do
  local what, one, two, three = ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3]
  if what == 'B' then
    redis.call('HSET', s, 'head', one, 'owner', ARGV[1], 'fence', ARGV[2], 'epoch', '0', 'rx', '0', 'acked', '0', 'last', '0',
      'keep', string.format('%.0f', math.abs(tonumber(ARGV[5]))))
    n = n + 2
  elseif what == 'A' then
    redis.call('HSET', w, one, two)
    n = n + 3
  elseif what == 'D' then
    redis.call('HDEL', w, one)
    n = n + 2
  elseif what == 'N' then
    redis.call('HDEL', w, two)
    redis.call('XADD', m, one .. '-0', 'e', three)
    redis.call('HSET', s, 'last', one)
    n = n + 4
  elseif what == 'V' then
    local acked = tonumber(redis.call('HGET', s, 'acked'))
    local voids = {}
    for number in string.gmatch(redis.call('HGET', s, 'voids') or '', '%d+') do
      if tonumber(number) > acked then table.insert(voids, number) end
    end
    if tonumber(one) > acked and tonumber(one) <= tonumber(redis.call('HGET', s, 'last')) then table.insert(voids, one) end
    redis.call('HSET', s, 'voids', table.concat(voids, ' '))
    n = n + 2
  elseif what == 'P' then
    redis.call('XTRIM', m, 'MINID', '=', string.format('%.0f-0', tonumber(one) + 1))
    if tonumber(one) > tonumber(redis.call('HGET', s, 'acked')) then redis.call('HSET', s, 'acked', one) end
    n = n + 2
  elseif what == 'R' then
    if tonumber(one) > tonumber(redis.call('HGET', s, 'rx')) then redis.call('HSET', s, 'rx', one) end
    n = n + 2
  elseif what == 'E' then
    redis.call('HSET', s, 'epoch', one)
    n = n + 2
  elseif what == 'T' then
    local found = redis.call('XRANGE', i, one, one)[1]
    if found then
      redis.call('XDEL', i, one)
      redis.call('HINCRBY', s, 'posted', -#found[2][2])
    end
    n = n + 2
  else
    left = redis.call('XRANGE', i, '-', '+')
    n = n + 1
  end
end
if left then
  redis.call('DEL', s, m, w, i)
  return { 1, left }
end
redis.call('HSET', s, 'seq', ARGV[3])
local ms = tonumber(ARGV[5])
local due = ms > 0
if not due then ms = -ms end
for k = 1, 4 do
  if due or redis.call('PTTL', KEYS[k]) == -1 then redis.call('PEXPIRE', KEYS[k], string.format('%.0f', ms)) end
end
return 1`

/** What makes a session larger, and is refused when the engine is full. */
export const grow = script('write', '', WRITE)

/** What does not: acknowledging, resuming, pruning and ending go on when the engine is full. */
export const write = script('write', ' flags=allow-oom', WRITE)

/** What both ways of getting a session share: what is known of it, all of it, and who owns it from now on. */
const STATE = `
local s, m, w, i = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local known = redis.call('HMGET', s, 'owner', 'head', 'epoch', 'rx', 'acked', 'last', 'voids', 'keep', 'suspect', 'fence', 'seq')
local function contents(before, suspect)
  local from = string.format('%.0f-0', tonumber(known[5]) + 1)
  return { tonumber(known[10]) + 1, known[2], before, known[4], known[5], known[6], known[7] or '',
    redis.call('XRANGE', m, from, '+'), redis.call('HGETALL', w), redis.call('XLEN', i), known[8], suspect }
end
local function give(owner, epoch)
  redis.call('HINCRBY', s, 'fence', 1)
  redis.call('HSET', s, 'owner', owner, 'seq', '0', 'suspect', '')
  if epoch then redis.call('HSET', s, 'epoch', epoch) end
  for k = 1, 4 do redis.call('PEXPIRE', KEYS[k], known[8]) end
end`

/**
 * Takes a session. ARGV: the new owner, an owner that is known to be dead (or empty), how the channels of stores begin (or empty: the
 * owner is not asked for it) and what its owner is told, and what its client shows, where it is for one: the digest of the key, the
 * principal, the epoch, which is recorded if all is well. 0: it may not have it; 1: a newer epoch has it; 2: this epoch has it, and it is
 * not known whether through the same connection. Nothing: there is no such session;
 * a text: its owner; else all of it: {fence, head, epoch, rx, acked, last, voids, numbered, waiting, how many are posted, ms it is
 * kept, up to where handlers may have begun (empty: nobody knows)}.
 */
export const claim = script(
  'claim',
  ' flags=allow-oom',
  `
${STATE}
local owner, before = known[1], known[3]
if not owner then return nil end
local epoch = tonumber(ARGV[7])
if epoch then
  local head = cjson.decode(known[2])
  if head.key ~= ARGV[5] or head.principal ~= ARGV[6] then return 0 end
  local latest = tonumber(known[3])
  if epoch < latest then return 1 end
  if epoch == latest then
    -- Asked before, and the answer was lost: by the same process, under whatever name.
    if string.match(owner, '^[^.]*') ~= string.match(ARGV[1], '^[^.]*') then return 2 end
    before = string.format('%.0f', epoch - 1)
  end
end
if owner ~= '' and owner ~= ARGV[1] and owner ~= ARGV[2] then
  -- Asked for in the same step: one way less.
  if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[3] .. string.match(owner, '^[^.]*'), ARGV[4]) end
  return owner
end
local all = contents(before, known[9] or '')
give(ARGV[1], ARGV[7])
return all`,
)

/** Bytes of a session that is handed over with the word that it is free: what is larger is fetched, so that notes stay short. */
const HANDED_BYTES = 65_536

/**
 * Gives a session up. ARGV: owner, fence (empty: whichever), seq, up to where handlers may have begun (empty: nobody knows), and, when
 * somebody has asked for it: a channel and what is to be said there, who is to own it, and the epoch that it has it for (or empty). A
 * small one is that one's at once, and all of it follows what is said, as `claim` would give it: two ways less. 2: so it was;
 * 1: it is free; 0: it was another's; -2: the engine has lost writes, and the session with them is removed.
 */
export const release = script(
  'release',
  ' flags=allow-oom',
  `
${STATE}
local function pack(value)
  if type(value) == 'table' then
    local parts = { '*' .. #value .. '\\n' }
    for k = 1, #value do parts[k + 1] = pack(value[k]) end
    return table.concat(parts)
  end
  local text = type(value) == 'number' and string.format('%.0f', value) or value
  return '$' .. #text .. '\\n' .. text
end
if known[1] ~= ARGV[1] or (ARGV[2] ~= '' and known[10] ~= ARGV[2]) then return 0 end
if ARGV[2] ~= '' and tonumber(known[11]) < tonumber(ARGV[3]) then
  redis.call('DEL', s, m, w, i)
  return -2
end
if ARGV[7] and redis.call('XLEN', m) + redis.call('HLEN', w) <= 100 then
  local epoch = tonumber(ARGV[8])
  if not epoch or epoch > tonumber(known[3]) then
    local all = pack(contents(known[3], ARGV[4]))
    if #all <= ${HANDED_BYTES} then
      give(ARGV[7], epoch and ARGV[8])
      redis.call('PUBLISH', ARGV[5], ARGV[6] .. all)
      return 2
    end
  end
end
redis.call('HSET', s, 'owner', '', 'suspect', ARGV[4])
if ARGV[5] then redis.call('PUBLISH', ARGV[5], ARGV[6]) end
return 1`,
)

/** Keeps a session for longer. ARGV: owner, fence, ms. How many messages are posted; -1: it is not ours. */
export const touch = script(
  'touch',
  ' flags=allow-oom',
  `
local known = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return -1 end
for k = 1, 4 do redis.call('PEXPIRE', KEYS[k], ARGV[3]) end
return redis.call('XLEN', KEYS[4])`,
)

/** Who has heard no answer asks for so long, after its deadline, whether its message was left; then nobody will know. */
export const POST_ASK_MS = 10_000

/**
 * Leaves a message. KEYS: session, inbox. ARGV: how many may lie there, how many bytes, the message, its poster, the message's number
 * (each poster's rise), when it is too late by the engine's clock in ms. Nothing: there is no such session; 0: no room; -1: it is too
 * late, or the poster has left a later one: it is not left, and never will be; else {its id, the owner}, also when it comes again.
 */
export const post = script(
  'post',
  '',
  `
local known = redis.call('HMGET', KEYS[1], 'owner', 'posted', 'posters')
if not known[1] then return nil end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local poster, number, deadline = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local others = {}
for name, latest, id, late in string.gmatch(known[3] or '', '(%S+) (%d+) (%S+) (%d+);') do
  if name == poster then
    if tonumber(latest) > number then return -1 end
    if tonumber(latest) == number then
      if id == '0' then return 0 end
      return { id, known[1] }
    end
  elseif now - tonumber(late) < ${6 * POST_ASK_MS} then
    others[#others + 1] = name .. ' ' .. latest .. ' ' .. id .. ' ' .. late .. ';'
  end
end
if now > deadline then return -1 end
local id = '0'
if redis.call('XLEN', KEYS[2]) < tonumber(ARGV[1]) and tonumber(known[2] or '0') + #ARGV[3] <= tonumber(ARGV[2]) then
  id = redis.call('XADD', KEYS[2], '*', 'e', ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'posted', #ARGV[3])
  redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
end
others[#others + 1] = poster .. ' ' .. ARGV[5] .. ' ' .. id .. ' ' .. ARGV[6] .. ';'
redis.call('HSET', KEYS[1], 'posters', table.concat(others))
if id == '0' then return 0 end
return { id, known[1] }`,
)

/** A command that must work although the engine is full. ARGV: its name, then what follows its key. */
export const vital = script(
  'vital',
  ' flags=allow-oom',
  `return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))`,
)
