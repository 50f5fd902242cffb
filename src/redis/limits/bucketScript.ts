// The fleet's token bucket, as one step of the engine on the engine's own clock: what a process reports, and what it is given.
//
// What makes it exact: tokens that are free in the bucket plus tokens that processes hold never exceed the burst, at any moment.
// A call then is either paid with what was there when a window began (at most the burst) or with what came back since.
// Tokens are also handed out before they are there, in order of asking: the bucket then owes them (its count is below 0), and the
// process is told when they come. So everyone has a turn, and nobody has to ask twice.
//
// Who has not been heard of for `life` is missing: it may be living on its insurance, so its share of rate and burst is withheld,
// until after three times as long it counts as gone. The same holds for everyone who is known of when the engine has lost
// its memory: an empty bucket fills only as fast as those who have come back may use it.

import type { Limit } from '../../policies/rateLimiter/options.ts'
import type { RedisArgument, RedisReply } from '../RedisEngine.ts'
import { Script } from '../Script.ts'

/** What a process says. Amounts are tokens. */
export interface LeaseRequest {
  /** Counts its requests: one that comes late, after a newer one, changes nothing. */
  readonly seq: number
  /** What it holds, those to come included. What it held before beyond that and has not used goes back. */
  readonly held: number
  /** What it has used so far, since its start. */
  readonly used: number
  /** What it cannot go on without, beyond what it holds. */
  readonly need: number
  /** What it could use soon, beyond what it holds; at least `need`. */
  readonly want: number
  /** How many processes it last knew of, and in which life of the bucket: counts when the engine has lost its memory since. */
  readonly known: number
  readonly born: number
  /** When its way to the engine broke, on the engine's clock in milliseconds; 0 when it did not. */
  readonly since: number
  /** It says goodbye. */
  readonly leaving: boolean
}

/** What it is told. */
export interface LeaseReply {
  /** How much of what it held it may keep. */
  readonly accepted: number
  /** What it is given: there now. */
  readonly ready: number
  /** What it is given beyond that, one after the other: from `afterMs` on, `perMs` per millisecond. */
  readonly coming: number
  readonly afterMs: number
  readonly perMs: number
  /** How many processes share the bucket. */
  readonly processes: number
  /** When asking again is worth while, in milliseconds, if it was not given what it needs. */
  readonly waitMs: number
  /** Which life of the bucket this is: another one after the engine has lost its memory. */
  readonly born: number
  /** The engine's clock, in milliseconds. */
  readonly now: number
}

export const BUCKET = new Script(
  'the shared limit',
  `local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local id = ARGV[1]
local n = {}
for i = 2, 13 do n[i - 1] = tonumber(ARGV[i]) end
local seq, rate, burst, held, used, need, want, known, theirs, since, life, leaving = unpack(n)
rate = rate / 1000

local tokens, at, expected, probation, born = 0, now, 0, now + 3 * life, now
local me
local others = {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local a, b, c, d, e = string.match(fields[i + 1], '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  a, b, c, d, e = tonumber(a), tonumber(b), tonumber(c), tonumber(d), tonumber(e)
  if fields[i] == '*' then tokens, at, expected, probation, born = a, b, c, d, e
  elseif fields[i] == id then me = { seq = a, held = b, used = c, seen = math.min(d, now), waits = e }
  else others[#others + 1] = { id = fields[i], held = b, seen = math.min(d, now), waits = e } end
end
if me and seq <= me.seq then return { 0 } end
-- The clock has been set back.
at = math.min(at, now)
probation = math.min(probation, now + 3 * life)

local function keep(name, a, b, c, d, e)
  redis.call('HSET', KEYS[1], name, string.format('%.17g %.17g %.17g %.17g %.17g', a, b, c, d, e))
end

-- Nobody has been here since this process lost its way: all may have, and live on insurance. What is remembered is worth nothing.
if since > 0 and at < since then
  known = math.max(#others, known)
  for _, other in ipairs(others) do redis.call('HDEL', KEYS[1], other.id) end
  tokens, at, expected, probation, born, me, others = 0, now, 0, now + 3 * life, now, nil, {}
end
if now >= probation then expected = 0
elseif theirs ~= born and known > expected then
  -- What had been promised before is still coming to those who were promised it.
  if expected == 0 then
    local promised = math.min(burst, math.max(rate * life / 3, known * math.max(1, need)))
    local passed = since > 0 and rate * math.max(0, now - since) or 0
    tokens = math.min(tokens, passed - promised, 0)
  end
  expected = known
end
local out, present, missing = 0, 0, 0
for _, other in ipairs(others) do
  local age = now - other.seen
  if age > 3 * life then
    redis.call('HDEL', KEYS[1], other.id)
    other.waits = 0
  elseif age > life then missing = missing + 1
  else present = present + 1 out = out + other.held end
end
local here = me and now - me.seen <= life

-- What has come back, by those who were here to use it.
local total = math.max(present + missing + ((me and now - me.seen <= 3 * life) and 1 or 0), expected)
local part = total == 0 and 1 or (present + (here and 1 or 0)) / total
-- Never deeper in debt than the burst, should the limit have been lowered.
tokens = math.max(-burst, tokens + rate * part * (now - at))
-- Less than one token would let nobody go.
tokens = math.min(tokens, math.max(1, burst * part) - out - (here and me.held or 0))

if here then tokens = tokens + me.held - (used - me.used) - held end
if leaving == 1 then
  redis.call('HDEL', KEYS[1], id)
  keep('*', tokens, now, expected, probation, born)
  return { 0 }
end

total = math.max(present + missing + 1, expected)
part = (present + 1) / total
local cap = math.max(1, burst * part)
local accepted = here and held or math.max(0, math.min(held, burst / total, cap - out))
local room = cap - out - accepted
tokens = math.min(tokens, room)

rate = rate * part
local ahead = rate * (life / 3) / (present + 1)
local given = math.min(want, math.max(burst / total - accepted, need), room, math.max(tokens, 0) + ahead)
given = math.max(0, math.floor(given + 1e-9))
if given < need then given = need <= room + 1e-9 and need or 0 end
-- Where not everyone's needs have room, who has waited longest goes first; who has not come back for it is passed by.
local waits = need > 0 and (here and me.waits > 0 and me.waits or now) or 0
local first = 0
for _, other in ipairs(others) do
  if other.waits > 0 and other.waits < waits and now - other.seen <= 1 / rate + 50 then first = first + 1 end
end
if first > 0 and given > room - first then given = math.floor(room - first + 1e-9) end
if given < need then given = 0 else waits = 0 end
local ready = math.min(given, math.max(0, tokens))
local after = math.max(0, -tokens) / rate
tokens = tokens - given

keep('*', tokens, now, expected, probation, born)
keep(id, seq, accepted + given, used, now, waits)
redis.call('PEXPIRE', KEYS[1], math.ceil(math.min(2592000000, math.max(60000, 10 * life, 2 * burst / rate))))
local reply = { 1, total }
for i, value in ipairs({ accepted, ready, given - ready, after, rate, given < need and need / rate / 2 or 0, born, now }) do
  reply[i + 2] = string.format('%.17g', value)
end
return reply`,
)

export function bucketArguments(
  id: string,
  { tokensPerSecond, burstCapacity }: Readonly<Limit>,
  lifeMs: number,
  request: LeaseRequest,
): RedisArgument[] {
  const { seq, held, used, need, want, known, born, since, leaving } = request
  const numbers = [
    seq,
    tokensPerSecond,
    burstCapacity,
    held,
    used,
    need,
    want,
    known,
    born,
    since,
    lifeMs,
    leaving ? 1 : 0,
  ]
  return [id, ...numbers.map(String)]
}

/** `undefined` when the request came too late to count, or was a goodbye. */
export function bucketReply(reply: RedisReply): LeaseReply | undefined {
  const [counted, processes, ...texts] = reply as [number, number, ...Uint8Array[]]
  if (counted === 0) return undefined
  const numbers = texts.map((text) => Number(new TextDecoder().decode(text)))
  const [accepted, ready, coming, afterMs, perMs, waitMs, born, now] = numbers as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return { accepted, ready, coming, afterMs, perMs, processes, waitMs, born, now }
}
