// What a server has in common with others on its store: which sessions are its own, how they come and go, and messages that
// are left for them.

import type { Clock } from '../core/clock.ts'
import { sleep } from '../core/sleep.ts'
import { CLOSE } from '../session/closeCodes.ts'
import type { Resume } from '../session/control.ts'
import { NEVER } from '../session/entry.ts'
import type { Payload } from '../session/frames.ts'
import type { InboxMessage, PostFate, SessionOwner, SharedSessions } from '../session/sharedSessions.ts'
import type { SessionStore, StoredSession } from '../session/store.ts'
import { onSteadyClock } from '../session/storeClock.ts'
import type { SessionHost } from './sessionHost.ts'
import { digestOf } from './sessionKeys.ts'

/** What a cluster asks of its server. */
export interface ClusterServer {
  /** All, those included that are over and still being recorded. */
  readonly sessions: ReadonlyMap<string, SessionHost>
  /** One that is not over. */
  alive(sid: string): SessionHost | undefined
  /** Resolves when all that the store remembers has been taken up, or cannot be. */
  readonly restored: Promise<void>
  /** Whether nothing is to be taken up any more. */
  readonly isLeaving: boolean
  hangUp(conn: number, code: number, reason: string): void
  /** Takes up a session that the store remembers. */
  restore(stored: StoredSession): void
  /** Its client has to look it up from now on. */
  over(host: SessionHost): void
  /** One was given to another process that had asked for it. */
  movedAway(): void
  report(error: unknown): void
}

export class SessionCluster implements SessionOwner {
  readonly #server: ClusterServer
  readonly #store: SessionStore | undefined
  readonly #shared: SharedSessions | undefined
  readonly #clock: Clock
  readonly #handoverTimeout: number
  /** What each session that another process has asked for will have come to. */
  readonly #releases = new WeakMap<SessionHost, Promise<number | undefined>>()

  /** @param handoverTimeout how long handlers that run have to settle, in milliseconds */
  constructor(
    server: ClusterServer,
    {
      store,
      clock,
      handoverTimeout,
    }: { store: SessionStore | undefined; clock: Clock; handoverTimeout: number },
  ) {
    this.#server = server
    this.#store = store
    this.#shared = store?.shared
    this.#clock = clock
    this.#handoverTimeout = handoverTimeout
  }

  /** From now on this process owns what it finds and begins. */
  join(): void {
    this.#shared?.join(this)
  }

  /** Gives up all sessions; who has asked for one does not wait for what there is no time for. */
  leave(): void {
    void this.#shared?.leave()
  }

  leaseValid(): boolean {
    return this.#shared === undefined || this.#shared.holds()
  }

  tellFate(from: string, fate: PostFate): void {
    this.#shared?.tellFate(from, fate)
  }

  /** A session can take messages now: those come that were posted meanwhile. */
  collect(host: SessionHost): void {
    if (!host.over) this.#shared?.collect(host.sid)
  }

  /** Takes up all that no other process owns. */
  async *list(): AsyncGenerator<StoredSession> {
    if (!this.#store) return
    for await (const stored of this.#store.list()) yield this.#ownTime(stored)
  }

  /**
   * Looks up a session that a connection asks for.
   * @returns `undefined` when there is none, or when the connection has been told to come again
   */
  async find(conn: number, asked: Resume, principal: string): Promise<StoredSession | undefined> {
    // Before all are taken up, the same one could come twice.
    await this.#server.restored.catch(() => {})
    // One that has just ended here, or is being given away, may not be recorded as such yet.
    if (!this.#server.alive(asked.sid)) await this.#server.sessions.get(asked.sid)?.whenGone
    const found = this.#shared
      ? await this.#take(this.#shared, conn, asked, principal)
      : await this.#store?.find(asked.sid)
    return found && this.#ownTime(found)
  }

  /** One that was found is here, although the connection that asked for it has gone. */
  keep(stored: StoredSession, epoch: number): void {
    if (this.#shared) this.#takeUp({ ...stored, session: { ...stored.session, epoch } })
  }

  // What other processes want.

  letGo(sid: string): Promise<number | undefined> {
    const host = this.#server.sessions.get(sid)
    // Found for a connection that had gone, and not taken up.
    if (!host) return Promise.resolve(undefined)
    const under = this.#releases.get(host)
    if (under) return under
    if (host.over) return host.whenGone.then(() => undefined)
    this.#server.movedAway()
    const released = host.release((settled) => this.#within(settled))
    this.#releases.set(host, released)
    // Who comes for it here from now on has to look it up.
    this.#server.over(host)
    return released
  }

  lapsed(): void {
    for (const { sid } of [...this.#server.sessions.values()]) this.#server.alive(sid)?.takenOver('leaseLost')
  }

  adopt(stored: StoredSession): void {
    this.#takeUp(this.#ownTime(stored))
  }

  posted(sid: string, messages: readonly InboxMessage[]): void {
    const offset = this.#clock.now() - this.#clock.wallNow()
    const host = this.#server.alive(sid)
    for (const message of messages) {
      const { expiresAt } = message
      host?.take(expiresAt === NEVER ? message : { ...message, expiresAt: Math.max(0, expiresAt + offset) })
    }
  }

  whispered(sid: string | undefined, stream: number, payload: Payload): void {
    const { sessions } = this.#server
    const hosts = sid === undefined ? [...sessions.values()] : [this.#server.alive(sid)]
    for (const host of hosts) if (host?.shown) host.publish(stream, payload)
  }

  report(error: unknown): void {
    this.#server.report(error)
  }

  #takeUp(stored: StoredSession): void {
    if (!this.#server.isLeaving && !this.#server.sessions.has(stored.session.sid))
      this.#server.restore(stored)
  }

  #ownTime(stored: StoredSession): StoredSession {
    return onSteadyClock(stored, this.#clock)
  }

  async #take(
    shared: SharedSessions,
    conn: number,
    { sid, key, epoch }: Resume,
    principal: string,
  ): Promise<StoredSession | undefined> {
    const taken = await shared.take(sid, { key: digestOf(key), principal, epoch })
    if (taken === 'superseded') this.#server.hangUp(conn, CLOSE.superseded, 'a newer epoch owns the session')
    else if (taken === 'unsure' || (taken && !shared.owns(sid)))
      this.#server.hangUp(conn, CLOSE.goingAway, 'the session is not here')
    else return taken
    return undefined
  }

  async #within(settled: Promise<void>): Promise<void> {
    const over = new AbortController()
    const waited = sleep(this.#clock, this.#handoverTimeout, over.signal, () => undefined, true).catch(
      () => {},
    )
    await Promise.race([settled, waited])
    over.abort()
  }
}
