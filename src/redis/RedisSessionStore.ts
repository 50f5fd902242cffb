// A server's sessions in Redis or Valkey, shared by several server processes: a client may come back to any of them. Who owns
// a session is said by the engine, and every write is refused that does not come from its owner.

import { randomBytes } from 'node:crypto'
import { sleep } from '../core/sleep.ts'
import type { Credentials, SharedSessions, TakeResult } from '../session/sharedSessions.ts'
import { isSid } from '../session/sid.ts'
import type { SessionStore, SessionWrite, StoredSession, WriteResult } from '../session/store.ts'
import { StorageError } from '../storage/StorageError.ts'
import { EngineLink } from './EngineLink.ts'
import { NodeLease } from './NodeLease.ts'
import { Orphans } from './Orphans.ts'
import { type Own, Owned } from './Owned.ts'
import type { RedisArgument, RedisReply } from './RedisEngine.ts'
import { Retries } from './Retries.ts'
import { SessionIndex } from './SessionIndex.ts'
import { SessionMail, type Want } from './SessionMail.ts'
import { type Left, SharedRedisSessions } from './SharedRedisSessions.ts'
import { claim, grow, release, write as shrink } from './sessionScripts.ts'
import {
  type RedisSessionStoreOptions,
  resolveStoreOptions,
  type StoreSettings,
} from './sessionStoreOptions.ts'
import { type Claimed, decodeClaim, decodePost, encodeWrites, textOf, unpack } from './sessionWire.ts'

/** What a store has done since it was made. */
export interface RedisSessionStoreStats {
  /** Sessions that this process owns. */
  owned: number
  /** Whether its lease holds. */
  holds: boolean
  /** How often it has lost its lease, and all its sessions with it. */
  lapses: number
  /** Calls to the engine, and of them those that failed or were not answered in time. */
  calls: number
  failures: number
  /** Milliseconds of the latest call, and of all together. */
  lastMs: number
  totalMs: number
  /** Sessions that were taken from a living node, that was asked for them; and from one that had died. */
  askedFor: number
  inherited: number
  /** Sessions that this node gave to another that had asked. */
  given: number
  /** Messages left for sessions by this process. */
  posted: number
}

export interface RedisSessionStore extends SessionStore {
  /**
   * Whether the engine answers: false a fifth of a `lease` after it has ceased to, well before the sessions are lost to other nodes. For
   * health checks: a node that is cut off answers 503, and the balancer sends its clients elsewhere.
   */
  isReady(): boolean
  readonly shared: SharedSessions
  getStats(): RedisSessionStoreStats
  close(): Promise<void>
}

/**
 * A durable store for `SessionServer`'s `store`, that any number of processes on any number of machines may use at the same
 * time. Nothing is sent to the engine before it is needed.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`) for a wrong option
 */
export function redisSessionStore(options: RedisSessionStoreOptions): RedisSessionStore {
  return new Store(resolveStoreOptions(options))
}

/** Whoever owns a session and lives answers within so long, or has handlers to wait for; after it, whether it lives is looked at. */
const ANSWER_MS = 100
/** How often it is asked again. */
const ASK_AGAIN_MS = 150

type Refusal = 'superseded' | 'unsure'
/** What the numbers mean that a claim is refused with. */
const REFUSALS: readonly (Refusal | undefined)[] = [undefined, 'superseded', 'unsure']

class Store implements RedisSessionStore {
  readonly shared: SharedRedisSessions
  readonly #settings: StoreSettings
  readonly #link: EngineLink
  readonly #lease: NodeLease
  readonly #index: SessionIndex
  readonly #mail: SessionMail
  readonly #owned = new Owned()
  readonly #turns = new Map<string, Promise<unknown>>()
  #askedFor = 0
  #inherited = 0
  readonly #retries: Retries
  #closed = false

  constructor(settings: StoreSettings) {
    this.#settings = settings
    const { engine, clock, prefix } = settings
    const names = { prefix, store: randomBytes(9).toString('base64url') }
    this.#link = new EngineLink(engine, clock, settings.timeout)
    this.#index = new SessionIndex(this.#link, prefix)
    this.#lease = new NodeLease(this.#link, { ...names, leaseMs: settings.lease }, clock, () => {
      this.#owned.clear()
      this.shared.lapsed()
    })
    this.#retries = new Retries(settings, this.#link, this.#lease, (error) => this.shared.report(error))
    this.#mail = new SessionMail(
      this.#link,
      clock,
      { ...names, timeoutMs: settings.timeout },
      {
        wanted: (sid, want) => this.shared.wanted(sid, want),
        posted: (sid) => this.shared.cameIn(sid),
        fate: (...fate) => this.shared.fate(...fate),
        whispered: (...whisper) => this.shared.whispered(...whisper),
        missed: () => this.shared.missed(),
      },
    )
    this.shared = new SharedRedisSessions({
      settings,
      link: this.#link,
      lease: this.#lease,
      index: this.#index,
      mail: this.#mail,
      owned: this.#owned,
      orphans: new Orphans(this.#index, this.#lease, (sid) => this.#inherit(sid)),
      enter: () => this.#enter(),
      take: (sid, shown) => this.#find(sid, shown),
      giveUp: (sid, left, to) => this.#inTurn(sid, () => this.#release(sid, left, to)),
      isBusy: (sid) => this.#turns.get(sid),
      store: names.store,
    })
  }

  async find(sid: string): Promise<StoredSession | undefined> {
    return (await this.#find(sid)) as StoredSession | undefined
  }

  write(sid: string, epoch: number, writes: readonly SessionWrite[]): Promise<WriteResult> {
    return this.#inTurn(sid, () => this.#write(sid, epoch, writes))
  }

  async *list(): AsyncIterable<StoredSession> {
    await this.#enter()
    for (const sid of this.#owned.sids()) {
      const found = await this.find(sid)
      if (found) yield found
    }
    for await (const stored of this.shared.orphans()) yield stored
  }

  isReady(): boolean {
    return this.#lease.isAnswered
  }

  getStats(): RedisSessionStoreStats {
    const { given, posted } = this.shared.counts
    return {
      owned: this.#owned.size,
      holds: this.#lease.holds,
      lapses: this.#lease.lapses,
      ...this.#link.counts,
      askedFor: this.#askedFor,
      inherited: this.#inherited,
      given,
      posted,
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.shared.stop()
    this.#retries.stop()
    // What was asked for before is done first.
    await Promise.allSettled([...this.#turns.values()])
    this.#owned.clear()
    await Promise.all([this.#lease.close(), this.#mail.close()])
  }

  /** What is asked of one session is done in that order. */
  #inTurn<T>(sid: string, run: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closed())
    const before = this.#turns.get(sid)
    const turn = before ? before.then(run, run) : run()
    const done = () => {
      if (this.#turns.get(sid) === turn) this.#turns.delete(sid)
    }
    this.#turns.set(sid, turn)
    turn.then(done, done)
    return turn
  }

  #find(sid: string, shown?: Credentials): Promise<TakeResult> {
    // A brace in it would part its keys from each other in a cluster.
    if (!isSid(sid)) return Promise.resolve(undefined)
    return this.#inTurn(sid, async () => {
      const deadline = this.#settings.clock.now() + this.#settings.lease + this.#settings.timeout
      await this.#enter()
      const claimed = await this.#claim(sid, deadline, shown)
      return typeof claimed === 'string' ? claimed : claimed?.stored
    })
  }

  async #enter(): Promise<void> {
    if (this.#closed) throw closed()
    await Promise.all([this.#lease.enter(this.#settings.timeout), this.#mail.open()])
  }

  /**
   * Takes a session. Without a deadline nobody is asked for it: then only what nobody alive owns is taken.
   * @throws StorageError, also when its owner does not let go of it in time
   */
  async #claim(sid: string, deadline?: number, shown?: Credentials): Promise<Claimed | Refusal | undefined> {
    const { clock } = this.#settings
    const credentials = shown ? [shown.key, shown.principal, `${shown.epoch}`] : []
    let dead = ''
    let indexedFor = ''
    for (;;) {
      const { node } = this.#lease
      const expecting = this.#mail.expect(sid)
      try {
        const want = { node, ask: expecting.ask, epoch: shown?.epoch }
        const asks = deadline === undefined ? ['', ''] : this.#mail.wantNote(sid, want)
        const facts: RedisArgument[] = [node, dead, ...asks, ...credentials]
        const [reply] = await Promise.all([
          this.#retries.until(deadline, () => this.#link.run(claim, this.#keys(sid), facts)),
          indexedFor === node ? undefined : this.#index.add(node, sid),
        ])
        indexedFor = node
        if (node !== this.#lease.node || !this.#lease.holds) {
          // It is not known whose it is now. The name that has gone leaves it to the next.
          if (deadline === undefined) return undefined
          await this.#enter()
          continue
        }
        if (reply === null || typeof reply === 'number') {
          if (reply === null) this.#owned.delete(sid)
          if (!this.#owned.get(sid)) this.#index.remove(node, sid)
          return REFUSALS[reply ?? 0]
        }
        if (Array.isArray(reply)) {
          if (dead !== '') this.#inherited += 1
          return this.#take(sid, node, reply, shown?.epoch ?? 0)
        }
        if (deadline !== undefined) this.#askedFor += 1
        const heard = deadline !== undefined && (await expecting.within(ANSWER_MS))
        if (heard) {
          const isOurs = heard.length > 0 && node === this.#lease.node && this.#lease.holds
          const given = isOurs ? unpack(heard) : undefined
          if (given) return this.#take(sid, node, given, shown?.epoch ?? 0)
          continue
        }
        const holder = textOf(reply)
        if (!(await this.#retries.until(deadline, () => this.#index.lives(holder)))) {
          dead = holder
          continue
        }
        if (deadline !== undefined && clock.now() < deadline) {
          await sleep(clock, ASK_AGAIN_MS, undefined, () => undefined, true)
          continue
        }
        this.#index.remove(node, sid)
        if (deadline === undefined) return undefined
        throw new StorageError(`session ${sid} is held by another process, which does not let go of it`, {
          reason: 'locked',
        })
      } finally {
        expecting.stop()
      }
    }
  }

  #take(sid: string, node: string, reply: readonly RedisReply[], epoch: number): Claimed | undefined {
    try {
      const claimed = decodeClaim(sid, reply)
      this.#owned.set(sid, claimed, epoch, this.#settings.clock.now())
      return claimed
    } catch (error) {
      // Nobody can go on with it: its client hears that it is gone, and says what is in doubt.
      this.#owned.delete(sid)
      this.#index.remove(node, sid)
      this.#link.command(['DEL', ...this.#keys(sid)], this.#keys(sid)[0]).catch(() => {})
      this.shared.report(error)
      return undefined
    }
  }

  /** A session of a dead node, if nobody was faster. */
  async #inherit(sid: string): Promise<Claimed | undefined> {
    // It is here, or about to be.
    if (this.#owned.get(sid) || this.#turns.has(sid)) return undefined
    return (await this.#inTurn(sid, () => this.#claim(sid))) as Claimed | undefined
  }

  async #write(sid: string, held: number, asked: readonly SessionWrite[]): Promise<WriteResult> {
    if (this.#closed) throw closed()
    const { clock, keep } = this.#settings
    const known = this.#owned.get(sid)
    const taken = known?.epoch ?? 0
    // The epoch of a client was recorded as its session was taken for it.
    const [first] = asked
    const isRecorded = first?.kind === 'epoch' && first.epoch <= taken && first.epoch > held
    const writes = isRecorded ? asked.slice(1) : asked
    const epoch = Math.max(held, taken)
    if (isRecorded && writes.length === 0) return this.#lease.holds ? 'stored' : 'stale'
    const { args, grows, begins, ends } = encodeWrites(writes)
    if (begins) {
      if (known) return 'stale'
      await this.#enter()
    }
    const own: Own | undefined = begins ? this.#owned.fresh(begins.ttl + keep) : known
    if (!own) return 'stale'
    const { node } = this.#lease
    const isDue = clock.now() - own.keptAt > keep / 4
    const facts = [node, `${own.fence}`, `${own.seq + 1}`, `${epoch}`, `${isDue ? own.keepMs : -own.keepMs}`]
    const [answer] = await Promise.all([
      this.#retries.whileOwner(node, grows ? grow : shrink, this.#keys(sid), [...facts, ...args]),
      begins ? this.#index.add(node, sid) : undefined,
    ])
    if (!answer) return 'stale'
    const { reply, again } = answer
    if (Array.isArray(reply) || (ends && again && reply === -1)) {
      this.#owned.delete(sid)
      this.#index.remove(node, sid)
      if (Array.isArray(reply))
        for (const one of reply[1] as readonly RedisReply[]) this.#mail.fate(decodePost(one).from, 'unknown')
      return 'stored'
    }
    switch (reply) {
      case 1:
        own.seq += 1
        for (const one of writes) if (one.kind === 'epoch') own.latest = Math.max(own.latest, one.epoch)
        if (isDue || begins) own.keptAt = clock.now()
        if (begins) this.#owned.begun(sid, own)
        return 'stored'
      case 0:
        if (begins) this.#index.remove(node, sid)
        return 'stale'
      case 3:
        this.#owned.delete(sid)
        return 'stale'
      default:
        this.#owned.delete(sid)
        throw forgotten(sid)
    }
  }

  async #release(sid: string, { fence, suspect }: Left, to: Want): Promise<boolean> {
    const own = this.#owned.get(sid)
    const { node } = this.#lease
    if (own?.fence !== fence) return false
    if (node === '') return true
    const facts: RedisArgument[] = [node, own ? `${own.fence}` : '', `${own?.seq ?? 0}`, `${suspect ?? ''}`]
    facts.push(...this.#mail.freeNote(to, sid), to.node, `${to.epoch ?? ''}`)
    const answer = await this.#retries.whileOwner(node, release, this.#keys(sid), facts)
    if (own && this.#owned.get(sid) === own) this.#owned.delete(sid)
    this.#index.remove(node, sid)
    if (answer?.reply === -2) this.shared.report(forgotten(sid))
    return true
  }

  #keys(sid: string): readonly string[] {
    return this.shared.keys(sid)
  }
}

function closed(): StorageError {
  return new StorageError('the session store is closed', { reason: 'closed' })
}

function forgotten(sid: string): StorageError {
  return new StorageError(
    `the engine has lost what it had confirmed of session ${sid}, which is ended: it has failed over, lost power, or evicts keys`,
    { reason: 'corrupt' },
  )
}
