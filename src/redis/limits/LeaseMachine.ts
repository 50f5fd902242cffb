// What one process does with its part of a bucket that a fleet shares: when to ask for tokens and for how many, when to give
// some back, and what it may spend while the engine is away. Without clock, timer or network: every question carries the time.
//
// A round trip is made for many calls at once: before the tokens run out it asks for what it will use in the next while, as
// its use of late tells. What the engine has lent counts for `life` from the moment it was asked for; a process that slept for
// longer asks before it spends.

import type { Limit } from '../../policies/rateLimiter/options.ts'
import type { LeaseReply, LeaseRequest } from './bucketScript.ts'

/** Absorbs what floating point loses. */
const EPSILON = 1e-9
/** How much earlier than the engine a process stops believing in its lease: clocks do not run alike. */
const MARGIN_MS = 10
const FIRST_PROBE_MS = 100
const LAST_PROBE_MS = 1000
/** Asking again when there was nothing to be had: not more often than this. */
const LEAST_PAUSE_MS = 5
/** The share of a process that has never heard how many there are. */
const UNKNOWN_SHARE = 0.1

/** Tokens on their way: `left` of them, one after the other from `from` on. */
interface Coming {
  from: number
  readonly perMs: number
  left: number
}

/** Those who wait, as the machine sees them. */
export interface Waiting {
  /** What the first needs; 0 when nobody waits. */
  readonly first: number
  /** What all need. */
  readonly all: number
}

export const nobodyWaits: Waiting = Object.freeze({ first: 0, all: 0 })

type Mode =
  /** It has not heard from the engine yet. */
  | { readonly kind: 'joining' }
  | { readonly kind: 'shared' }
  /** The engine is away: it lives on its share. `accruedAt`: until when that has been counted, or from when it counts. */
  | { readonly kind: 'insured'; readonly since: number; accruedAt: number; probeAt: number; pauseMs: number }

interface Pending {
  readonly request: LeaseRequest
  readonly sentAt: number
}

export interface LeaseOptions {
  /** How long a lease is good without a word from the process, in milliseconds. */
  readonly lifeMs: number
  /** The part of the limit that it may spend while the engine is away; `undefined`: one of as many as it last knew of. */
  readonly share: number | undefined
}

export class LeaseMachine {
  readonly #limit: Readonly<Limit>
  readonly #options: LeaseOptions
  #mode: Mode = { kind: 'joining' }
  /** What can be spent at once. Below 0: spent before the engine said that it keeps less. */
  #ready = 0
  #coming: Coming[] = []
  #goodUntil = -Infinity
  #used = 0
  #seq = 0
  #pending: Pending | undefined
  #processes = 0
  /** When it last asked with success, on both clocks. */
  #heard: { readonly sentAt: number; readonly engineNow: number; readonly born: number } | undefined
  #askedAt = -Infinity
  #usedWhenAsked = 0
  #refused = false
  #perMs = 0
  /** Asking for what is needed is of no use before; nor asking ahead of need. */
  #notBefore = -Infinity
  #notAheadBefore = -Infinity
  #low = 0
  /** The most that one call has needed. */
  #dearest = 1

  /** @param limit read anew at every request */
  constructor(limit: Readonly<Limit>, options: LeaseOptions) {
    this.#limit = limit
    this.#options = options
  }

  get mode(): Mode['kind'] {
    return this.#mode.kind
  }

  /** How many processes it last knew of; 0 before it was told. */
  get processes(): number {
    return this.#processes
  }

  /** What could be spent now. */
  tokens(now: number): number {
    this.#update(now)
    return Math.max(0, this.#ready)
  }

  /** Whether it should be asked for a `plan`: so little is left. */
  get isLow(): boolean {
    return this.#ready <= this.#low && this.#pending === undefined
  }

  /** Spends `cost` tokens if they are there; all or nothing. */
  take(cost: number, now: number): boolean {
    if (this.#ready < cost || now >= this.#goodUntil) {
      this.#dearest = Math.max(this.#dearest, cost)
      this.#update(now)
      if (this.#ready + EPSILON < cost) {
        this.#refused = true
        return false
      }
    }
    this.#ready -= cost
    this.#used += cost
    return true
  }

  /** Milliseconds until `cost` tokens will be there, as far as is known; `Infinity` for never. */
  waitMs(cost: number, now: number): number {
    this.#update(now)
    let missing = cost - this.#ready - EPSILON
    if (missing <= 0) return 0
    let until = now
    for (const { from, perMs, left } of this.#coming) {
      if (missing <= left) return Math.max(1, Math.ceil(from + missing / perMs - now))
      missing -= left
      until = from + left / perMs
    }
    const { tokensPerSecond, burstCapacity } = this.#limit
    if (cost > burstCapacity) return Infinity
    const mode = this.#mode
    if (mode.kind === 'insured') {
      const { perMs, capacity } = this.#insurance()
      // More than its share holds has to wait for the engine.
      if (cost > capacity || perMs === 0) return Math.max(LEAST_PAUSE_MS, Math.ceil(mode.probeAt - now))
      return Math.max(1, Math.ceil(Math.max(until, mode.accruedAt) - now + missing / perMs))
    }
    const perMs = tokensPerSecond / 1000 / Math.max(1, this.#processes)
    return Math.max(1, Math.ceil(until - now + missing / perMs))
  }

  /** Whether what is to come suffices for `cost`, without asking for more. */
  #covers(cost: number): boolean {
    return this.#held + EPSILON >= cost
  }

  get #held(): number {
    let held = this.#ready
    for (const { left } of this.#coming) held += left
    return held
  }

  /** What to ask of the engine now, if anything; then `accept` or `fail` is called once. */
  plan(now: number, waiting: Waiting = nobodyWaits): LeaseRequest | undefined {
    if (this.#pending) return undefined
    this.#update(now)
    const mode = this.#mode
    if (mode.kind === 'insured' && now < mode.probeAt) return undefined
    const isDue = now >= this.#askedAt + this.#options.lifeMs / 3
    const usedSince = this.#used - this.#usedWhenAsked
    const isIdle = usedSince === 0 && waiting.all === 0 && !this.#refused
    // Who has used nothing for a while holds nothing back from the others.
    if (isDue && isIdle && mode.kind === 'shared') {
      this.#ready = Math.min(0, this.#ready)
      this.#coming = []
    }
    const held = Math.max(0, this.#held)
    const need = Math.max(0, Math.ceil(waiting.first - held - EPSILON))
    if (mode.kind === 'shared' && !isDue) {
      if (now < (need > 0 ? this.#notBefore : this.#notAheadBefore)) return undefined
      // One turn at a time: who is promised something asks for more when it has come.
      if (need === 0 && (isIdle || held > this.#low || this.#coming.length > 0)) return undefined
    }
    const want = this.#estimate(now, usedSince, waiting, held)
    return this.#ask(now, { held, need, want: Math.max(need, isIdle ? 0 : want), leaving: false })
  }

  /** What to say at the end, after which nothing is to be had; `undefined` when nobody would hear it. */
  leave(now: number): LeaseRequest | undefined {
    const isHeard = this.#mode.kind === 'shared'
    this.#mode = { kind: 'joining' }
    this.#ready = 0
    this.#coming = []
    this.#goodUntil = -Infinity
    return isHeard ? this.#ask(now, { held: 0, need: 0, want: 0, leaving: true }) : undefined
  }

  #ask(now: number, what: Pick<LeaseRequest, 'held' | 'need' | 'want' | 'leaving'>): LeaseRequest {
    const since = this.#mode.kind === 'insured' ? this.#mode.since : 0
    this.#seq += 1
    const request = {
      seq: this.#seq,
      used: this.#used,
      known: this.#processes,
      born: this.#heard?.born ?? 0,
      since,
      ...what,
    }
    this.#pending = { request, sentAt: now }
    this.#askedAt = now
    this.#usedWhenAsked = this.#used
    this.#refused = false
    return request
  }

  /** What it will use in the time of a third of a life, beyond what it holds. Follows a rise at once, a fall slowly. */
  #estimate(now: number, usedSince: number, { all }: Waiting, held: number): number {
    const elapsed = Math.max(1, now - this.#askedAt)
    const perMs = (usedSince + all) / elapsed
    this.#perMs = Math.max(perMs, 0.7 * this.#perMs + 0.3 * perMs)
    const wanted = Math.ceil((this.#perMs * this.#options.lifeMs) / 3)
    return Math.min(this.#limit.burstCapacity, Math.max(all, wanted)) - held
  }

  /** The engine has answered; `undefined` when it took no notice. */
  accept(reply: LeaseReply | undefined, now: number): void {
    const pending = this.#pending
    this.#pending = undefined
    if (!pending || !reply) return
    this.#update(now)
    const { request, sentAt } = pending
    // Of what it held, all that it may keep is what the engine says, less what it has spent meanwhile.
    const kept = reply.accepted - (this.#used - request.used)
    this.#ready += kept - this.#held
    this.#ready += reply.ready
    if (reply.coming > 0) {
      const { coming: left, afterMs, perMs } = reply
      const last = this.#coming.at(-1)
      const from = Math.max(now + afterMs, last ? last.from + last.left / last.perMs : now)
      this.#coming.push({ from, perMs, left })
    }
    this.#mode = { kind: 'shared' }
    this.#goodUntil = sentAt + this.#options.lifeMs - MARGIN_MS
    this.#processes = reply.processes
    this.#heard = { sentAt, engineNow: reply.now, born: reply.born }
    const given = reply.ready + reply.coming
    this.#notBefore = given < request.need ? now + Math.max(LEAST_PAUSE_MS, reply.waitMs) : -Infinity
    this.#notAheadBefore = given === 0 ? now + Math.max(LEAST_PAUSE_MS, 1 / reply.perMs) : -Infinity
    // Asked for again while what is left still lasts for two round trips.
    const lasting = this.#perMs * 2 * (now - sentAt)
    this.#low = Math.min(Math.max(1, lasting), Math.max(1, (reply.accepted + given) / 4))
  }

  /** It cannot be reached. `random` in [0, 1) spreads the processes that try again. */
  fail(now: number, random: number): void {
    const pending = this.#pending
    this.#pending = undefined
    this.#update(now)
    const mode = this.#mode
    const pauseMs = mode.kind === 'insured' ? Math.min(LAST_PROBE_MS, 2 * mode.pauseMs) : FIRST_PROBE_MS
    const probeAt = now + pauseMs * (0.5 + random / 2)
    if (mode.kind === 'insured') {
      mode.pauseMs = pauseMs
      mode.probeAt = probeAt
      return
    }
    const heard = this.#heard
    const since = heard && pending ? heard.engineNow + pending.sentAt - heard.sentAt : 0
    // The engine may have promised to all what comes back in the next while: insurance begins when that has come.
    const { tokensPerSecond, burstCapacity } = this.#limit
    const owed = Math.min(burstCapacity, this.#processes * this.#dearest)
    const accruedAt = now + Math.max(this.#options.lifeMs / 3, (owed / tokensPerSecond) * 1000)
    // What comes back has to be counted before each call: a full bucket lets it run over.
    this.#goodUntil = -Infinity
    this.#mode = { kind: 'insured', since, accruedAt, probeAt, pauseMs }
  }

  /** When `plan` or a caller that waits may have something to do, if nothing happens before; `Infinity` for never. */
  nextAt(now: number, waiting: Waiting): number {
    this.#update(now)
    const mode = this.#mode
    let at = Infinity
    if (waiting.first > 0 && (mode.kind === 'insured' || this.#covers(waiting.first)))
      at = now + this.waitMs(waiting.first, now)
    if (this.#pending) return at
    if (mode.kind === 'insured') return Math.min(at, mode.probeAt)
    const dueAt = this.#askedAt + this.#options.lifeMs / 3
    const askAt =
      waiting.first > 0 && !this.#covers(waiting.first) ? Math.max(now, this.#notBefore) : Infinity
    return Math.min(at, dueAt, askAt)
  }

  #insurance(): { perMs: number; capacity: number } {
    const { tokensPerSecond, burstCapacity } = this.#limit
    const share = this.#options.share ?? (this.#processes > 0 ? 1 / this.#processes : UNKNOWN_SHARE)
    return {
      perMs: (tokensPerSecond / 1000) * share,
      // Less than one token would never let anything through.
      capacity: share === 0 ? 0 : Math.max(1, burstCapacity * share),
    }
  }

  #update(now: number): void {
    const mode = this.#mode
    if (mode.kind !== 'insured' && now >= this.#goodUntil) {
      // It has slept too long, or the engine has been silent for too long: what it held may have been given to others.
      this.#ready = Math.min(0, this.#ready)
      this.#coming = []
      return
    }
    for (;;) {
      const first = this.#coming[0]
      if (!first || now < first.from) break
      const come = Math.min(first.left, (now - first.from) * first.perMs)
      this.#ready += come
      first.left -= come
      first.from = now
      if (first.left > EPSILON) break
      this.#coming.shift()
    }
    if (mode.kind !== 'insured' || now <= mode.accruedAt) return
    const { perMs, capacity } = this.#insurance()
    const more = perMs * (now - mode.accruedAt)
    this.#ready = Math.min(Math.max(this.#ready, capacity), this.#ready + more)
    mode.accruedAt = now
  }
}
