// What the script of the shared limit does, said once more in TypeScript: the model that the script is checked against, and the
// engine of simulations in virtual time.

import type { LeaseReply, LeaseRequest } from '../../src/redis/limits/bucketScript.ts'

interface Member {
  seq: number
  held: number
  used: number
  seen: number
  /** Since when it has waited for what it needs; 0 when it does not. */
  waits: number
}

export interface BucketState {
  tokens: number
  at: number
  expected: number
  probation: number
  born: number
  readonly members: Map<string, Member>
}

export interface BucketLimit {
  readonly tokensPerSecond: number
  readonly burstCapacity: number
}

function afresh(now: number, life: number) {
  return { tokens: 0, at: now, expected: 0, probation: now + 3 * life, born: now }
}

/** Answers one request at `now` and changes `state`; `undefined` stands for an engine that remembers nothing. */
export function answer(
  state: BucketState | undefined,
  id: string,
  { tokensPerSecond, burstCapacity: burst }: BucketLimit,
  life: number,
  request: LeaseRequest,
  now: number,
): { state: BucketState; reply: LeaseReply | undefined } {
  const bucket = state ?? { ...afresh(now, life), members: new Map() }
  const { members } = bucket
  if (request.seq <= (members.get(id)?.seq ?? -Infinity)) return { state: bucket, reply: undefined }
  bucket.at = Math.min(bucket.at, now)
  bucket.probation = Math.min(bucket.probation, now + 3 * life)
  for (const member of members.values()) member.seen = Math.min(member.seen, now)

  let { known } = request
  if (request.since > 0 && bucket.at < request.since) {
    known = Math.max(known, [...members.keys()].filter((name) => name !== id).length)
    Object.assign(bucket, afresh(now, life))
    members.clear()
  }
  if (now >= bucket.probation) bucket.expected = 0
  else if (request.born !== bucket.born && known > bucket.expected) {
    if (bucket.expected === 0) {
      const perMs = tokensPerSecond / 1000
      const promised = Math.min(burst, Math.max((perMs * life) / 3, known * Math.max(1, request.need)))
      const passed = request.since > 0 ? perMs * Math.max(0, now - request.since) : 0
      bucket.tokens = Math.min(bucket.tokens, passed - promised, 0)
    }
    bucket.expected = known
  }
  const me = members.get(id)
  const others = [...members].filter(([name]) => name !== id)
  for (const [name, member] of others) if (now - member.seen > 3 * life) members.delete(name)
  const present = others.filter(([, { seen }]) => now - seen <= life).map(([, member]) => member)
  const missing = others.filter(([, { seen }]) => now - seen > life && now - seen <= 3 * life).length
  const lentToOthers = present.reduce((sum, { held }) => sum + held, 0)
  const wasHere = me !== undefined && now - me.seen <= life
  const wasKnown = me !== undefined && now - me.seen <= 3 * life

  const before = Math.max(present.length + missing + Number(wasKnown), bucket.expected)
  const partBefore = before === 0 ? 1 : (present.length + Number(wasHere)) / before
  const lentToMe = wasHere ? me.held : 0
  const back = (tokensPerSecond / 1000) * partBefore * (now - bucket.at)
  bucket.tokens = Math.max(-burst, bucket.tokens + back)
  bucket.tokens = Math.min(bucket.tokens, Math.max(1, burst * partBefore) - lentToOthers - lentToMe)
  bucket.at = now
  if (wasHere) bucket.tokens += me.held - (request.used - me.used) - request.held
  if (request.leaving) {
    members.delete(id)
    return { state: bucket, reply: undefined }
  }

  const processes = Math.max(present.length + missing + 1, bucket.expected)
  const part = (present.length + 1) / processes
  const capacity = Math.max(1, burst * part)
  const accepted = wasHere
    ? request.held
    : Math.max(0, Math.min(request.held, burst / processes, capacity - lentToOthers))
  const room = capacity - lentToOthers - accepted
  bucket.tokens = Math.min(bucket.tokens, room)
  const perMs = (tokensPerSecond / 1000) * part
  const ahead = (perMs * (life / 3)) / (present.length + 1)
  const fair = Math.max(burst / processes - accepted, request.need)
  let given = Math.max(
    0,
    Math.floor(Math.min(request.want, fair, room, Math.max(bucket.tokens, 0) + ahead) + 1e-9),
  )
  if (given < request.need) given = request.need <= room + 1e-9 ? request.need : 0
  let waits = request.need > 0 ? (wasHere && me.waits > 0 ? me.waits : now) : 0
  const first = others.filter(
    ([name, other]) =>
      members.has(name) && other.waits > 0 && other.waits < waits && now - other.seen <= 1 / perMs + 50,
  ).length
  if (first > 0 && given > room - first) given = Math.floor(room - first + 1e-9)
  if (given < request.need) given = 0
  else waits = 0
  const ready = Math.min(given, Math.max(0, bucket.tokens))
  const afterMs = Math.max(0, -bucket.tokens) / perMs
  bucket.tokens -= given
  members.set(id, { seq: request.seq, held: accepted + given, used: request.used, seen: now, waits })
  const waitMs = given < request.need ? request.need / perMs / 2 : 0
  return {
    state: bucket,
    reply: {
      accepted,
      ready,
      coming: given - ready,
      afterMs,
      perMs,
      processes,
      waitMs,
      born: bucket.born,
      now,
    },
  }
}
