// The shared side of the store: who owns what this process finds, sessions that are asked for or inherited, and messages from
// elsewhere.

import type { TimerHandle } from '../core/clock.ts'
import { sleep } from '../core/sleep.ts'
import type { Payload } from '../session/frames.ts'
import type {
  Credentials,
  FateListener,
  PostedMessage,
  PostFate,
  PostResult,
  SessionOwner,
  SharedSessions,
  TakeResult,
} from '../session/sharedSessions.ts'
import type { StoredSession } from '../session/store.ts'
import { StorageError } from '../storage/StorageError.ts'
import type { EngineLink } from './EngineLink.ts'
import type { NodeLease } from './NodeLease.ts'
import type { Orphans } from './Orphans.ts'
import type { Own, Owned } from './Owned.ts'
import { Poster } from './Poster.ts'
import type { RedisReply } from './RedisEngine.ts'
import type { SessionIndex } from './SessionIndex.ts'
import type { SessionMail, Want } from './SessionMail.ts'
import { touch } from './sessionScripts.ts'
import type { StoreSettings } from './sessionStoreOptions.ts'
import { decodePost } from './sessionWire.ts'

/** How a session was left that is given up. */
export interface Left {
  /** Which owner of it this process was, if it was. */
  readonly fence: number | undefined
  /** Up to where handlers may have begun, if that is known. */
  readonly suspect: number | undefined
}

/** What it is made of. */
export interface SharedParts {
  readonly settings: StoreSettings
  readonly link: EngineLink
  readonly lease: NodeLease
  readonly index: SessionIndex
  readonly mail: SessionMail
  readonly owned: Owned
  readonly orphans: Orphans
  readonly store: string
  /** Resolves when this process may own sessions. */
  readonly enter: () => Promise<void>
  /** Finds a session for a client. */
  readonly take: (sid: string, shown: Credentials) => Promise<TakeResult>
  /**
   * Gives a session up in the engine, after what was asked of it before, and says so to who has asked for it; unless by then it has been
   * taken here once more, for another client: resolves to whether it has not.
   */
  readonly giveUp: (sid: string, left: Left, to: Want) => Promise<boolean>
  /** What is under way of a session. */
  readonly isBusy: (sid: string) => Promise<unknown> | undefined
}

/** Messages of an inbox that are read at a time, and sessions that are kept at a time. */
const PAGE = 100
const AT_ONCE = 32
/** An inbox that could not be read is read again after so many milliseconds. */
const READ_AGAIN_MS = 500

export class SharedRedisSessions implements SharedSessions {
  readonly counts = { given: 0, posted: 0 }
  readonly #parts: SharedParts
  readonly #fateListeners = new Set<FateListener>()
  #owner: SessionOwner | undefined
  readonly #poster: Poster
  readonly #posting = new Map<string, Promise<unknown>>()
  readonly #giving = new Map<string, Promise<void>>()
  #sweepTimer: TimerHandle
  #keepTimer: TimerHandle
  #stopped = false

  constructor(parts: SharedParts) {
    this.#parts = parts
    this.#poster = new Poster({ ...parts, keys: (sid) => this.keys(sid) })
    this.#planKeeping()
  }

  join(owner: SessionOwner): void {
    if (this.#owner) {
      throw new Error('join: this store has a server already; each SessionServer takes a store of its own')
    }
    this.#owner = owner
    this.#planSweep()
  }

  holds(): boolean {
    return this.#parts.lease.holds
  }

  async take(sid: string, shown: Credentials): Promise<TakeResult> {
    this.#needOpen()
    return this.#parts.take(sid, shown)
  }

  owns(sid: string): boolean {
    return this.#parts.owned.get(sid) !== undefined
  }

  async leave(): Promise<void> {
    this.#owner = undefined
    this.#parts.owned.clear()
    await this.#parts.lease.leave()
  }

  collect(sid: string): void {
    const own = this.#parts.owned.collect(sid)
    if (own?.hasPosts) void this.#read(sid, own)
  }

  post(sid: string, message: PostedMessage): Promise<PostResult> {
    // One after the other: two that are under way may overtake each other where a script has to be brought first.
    const before = this.#posting.get(sid) ?? Promise.resolve()
    const run = () => this.#post(sid, message)
    const posting = before.then(run, run)
    this.#posting.set(sid, posting)
    const done = () => {
      if (this.#posting.get(sid) === posting) this.#posting.delete(sid)
    }
    posting.then(done, done)
    return posting
  }

  tellFate(from: string, fate: PostFate): void {
    this.#parts.mail.fate(from, fate)
  }

  hearFates(listener: FateListener): () => void {
    this.#fateListeners.add(listener)
    return () => this.#fateListeners.delete(listener)
  }

  whisper(sid: string | undefined, stream: number, payload: Payload): Promise<void> {
    this.#needOpen()
    return this.#parts.mail.whisper(sid, stream, payload)
  }

  async *sids(): AsyncIterable<string> {
    this.#needOpen()
    const { index } = this.#parts
    const told = new Set<string>()
    for (const { node } of await index.nodes())
      for await (const sids of index.sidsOf(node))
        for (const sid of sids)
          if (!told.has(sid)) {
            told.add(sid)
            yield sid
          }
  }

  /** Takes the sessions of nodes that have died. */
  orphans(): AsyncGenerator<StoredSession> {
    return this.#parts.orphans.take()
  }

  keys(sid: string): readonly string[] {
    const key = `${this.#parts.settings.prefix}{${sid}}`
    return [key, `${key}:m`, `${key}:w`, `${key}:i`]
  }

  report(error: unknown): void {
    this.#owner?.report(error)
  }

  lapsed(): void {
    this.#owner?.lapsed()
  }

  stop(): void {
    this.#stopped = true
    const { clock } = this.#parts.settings
    clock.clearTimeout(this.#sweepTimer)
    clock.clearTimeout(this.#keepTimer)
  }

  // What other processes say.

  wanted(sid: string, want: Want): void {
    const giving = this.#giving.get(sid)
    // The first who asks is told as it is done.
    if (giving) void giving.then(() => this.#parts.mail.free(want.by, sid))
    else this.#giving.set(sid, this.#give(sid, want))
  }

  cameIn(sid: string): void {
    const own = this.#parts.owned.get(sid)
    if (!own) return
    own.hasPosts = true
    if (own.collects) void this.#read(sid, own)
  }

  fate(token: string, fate: PostFate): void {
    for (const listener of this.#fateListeners) listener.fate(token, fate)
  }

  whispered(sid: string | undefined, stream: number, payload: Payload): void {
    this.#owner?.whispered(sid, stream, payload)
  }

  missed(): void {
    for (const sid of this.#parts.owned.sids()) this.cameIn(sid)
    for (const listener of this.#fateListeners) listener.missed()
  }

  async #post(sid: string, message: PostedMessage): Promise<PostResult> {
    this.#needOpen()
    const { result, owner } = await this.#poster.post(sid, message)
    if (result !== 'posted') return result
    this.counts.posted += 1
    if (owner !== '') this.#parts.mail.posted(owner, sid)
    return result
  }

  async #give(sid: string, to: Want): Promise<void> {
    const { giveUp, isBusy, owned, settings } = this.#parts
    for (let isGiven = false; !isGiven; ) {
      const busy = isBusy(sid)
      if (busy) {
        // Who is about to find it has its turn, and this comes after what follows from that.
        await busy.catch(() => {})
        await sleep(settings.clock, 0, undefined, () => undefined, true)
      }
      const { latest = 0, fence } = owned.get(sid) ?? {}
      if (to.epoch !== undefined && to.epoch <= latest) {
        // Its client has come here since, and has it: nobody is made to leave for a ghost, which hears so when it looks.
        this.#parts.mail.free(to.by, sid)
        break
      }
      const suspect = await this.#owner?.letGo(sid)
      isGiven = await giveUp(sid, { fence, suspect }, to).catch((error) => {
        this.report(error)
        return true
      })
      if (isGiven) this.counts.given += 1
    }
    this.#giving.delete(sid)
  }

  async #read(sid: string, own: Own): Promise<void> {
    if (own.reading) return
    own.reading = true
    const { link, owned, settings } = this.#parts
    const inbox = this.keys(sid)[3] as string
    try {
      while (own.hasPosts && owned.get(sid) === own) {
        own.hasPosts = false
        const from = own.after === '-' ? '-' : `(${own.after}`
        const range = ['XRANGE', inbox, from, '+', 'COUNT', `${PAGE}`]
        const found = ((await link.command(range, inbox)) as readonly RedisReply[]).map(decodePost)
        if (found.length === PAGE) own.hasPosts = true
        const last = found.at(-1)
        if (!last || owned.get(sid) !== own) continue
        own.after = last.id
        this.#owner?.posted(sid, found)
      }
    } catch {
      own.hasPosts = true
      if (!this.#stopped) settings.clock.setTimeout(() => this.cameIn(sid), READ_AGAIN_MS, true)
    } finally {
      own.reading = false
    }
  }

  // What is due from time to time.

  #planSweep(): void {
    const { clock, lease, random } = this.#parts.settings
    if (this.#stopped) return
    this.#sweepTimer = clock.setTimeout(() => void this.#sweep(), lease * (0.75 + random() / 2), true)
  }

  async #sweep(): Promise<void> {
    try {
      if (this.#owner) await this.#parts.enter()
      // Without a server nobody could let them expire.
      if (this.#owner) for await (const stored of this.orphans()) this.#owner?.adopt(stored)
    } catch (error) {
      // The engine is away: who writes says so. What is missing is found at the next look.
      if (!this.#stopped && !(error instanceof StorageError)) this.report(error)
    }
    this.#planSweep()
  }

  #planKeeping(): void {
    const { clock, keep } = this.#parts.settings
    if (this.#stopped) return
    this.#keepTimer = clock.setTimeout(() => void this.#keep(), keep / 8, true)
  }

  /** Sessions of which nothing is written are kept all the same. */
  async #keep(): Promise<void> {
    const { owned, settings, lease } = this.#parts
    const due = owned.keptBefore(settings.clock.now() - settings.keep / 4)
    for (let at = 0; at < due.length && lease.holds; at += AT_ONCE)
      await Promise.all(due.slice(at, at + AT_ONCE).map((sid) => this.#keepOne(sid)))
    this.#planKeeping()
  }

  async #keepOne(sid: string): Promise<void> {
    const { owned, link, lease, settings } = this.#parts
    const own = owned.get(sid)
    if (!own) return
    const at = settings.clock.now()
    try {
      const posted = await link.run(touch, this.keys(sid), [lease.node, `${own.fence}`, `${own.keepMs}`])
      if (owned.get(sid) !== own) return
      if (posted === -1) {
        // Ended, or taken by another: whatever is left of it here has no owner.
        owned.delete(sid)
        await this.#owner?.letGo(sid)
        return
      }
      own.keptAt = at
      if ((posted as number) > 0) this.cameIn(sid)
    } catch {
      // At the next look.
    }
  }

  #needOpen(): void {
    if (this.#stopped) throw new StorageError('the session store is closed', { reason: 'closed' })
  }
}
