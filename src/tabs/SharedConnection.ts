// One connection for all tabs of a site: the tab that holds a Web Lock leads, that is, has the connection and its outbox;
// the others send through it. When it goes, however it goes, the next has the lock and takes up the same outbox: the
// browser hands it on, the page gives it up before it is frozen, or a follower takes it from one that hangs. Who has
// something unconfirmed sends it again when a new leader says that it leads.

import { encode, snapshot } from '../connection/encoding.ts'
import type { SendOptions } from '../connection/messageLayer.ts'
import type { TimerHandle } from '../core/clock.ts'
import { Emitter } from '../core/emitter.ts'
import { CommsError } from '../core/errors.ts'
import { randomId } from '../core/randomId.ts'
import { ABSENT_MS } from './Absences.ts'
import { Candidacy } from './Candidacy.ts'
import { type SharedEvents, typeOf } from './events.ts'
import { type Handler, Leader } from './Leader.ts'
import { LeaderWatch } from './LeaderWatch.ts'
import { notShared, Outgoing, type TabReceipt } from './outgoing.ts'
import { Post } from './Post.ts'
import type { SharedParts } from './parts.ts'
import { type Frame, type TabSendOptions, type ToLeader, type ToTab, tabName } from './protocol.ts'
import { settle } from './settle.ts'

/**
 * What a client has for a connection that all tabs share: messages that have to arrive. What is now or never (`volatile`, audio), what
 * waits for one answer (`request`) and taking back (`cancel`) need a connection of the tab's own: they fail with `UNSUPPORTED`.
 */
export class SharedConnection extends Emitter<SharedEvents> {
  /** Names this tab among the others. */
  readonly tab: string = tabName(randomId())
  readonly #parts: SharedParts
  readonly #post: Post
  readonly #outgoing: Outgoing
  readonly #candidacy: Candidacy
  readonly #watch: LeaderWatch
  #timer: TimerHandle | undefined
  #shown = new AbortController()
  #leader: Leader | undefined
  #handler: Handler | undefined
  #stats: unknown
  /** The leadership that this tab knows. */
  #term: string | undefined
  /** When the page went into the back/forward cache or was frozen, by the wall clock. */
  #awaySince: number | undefined
  /** What was reported once is not reported again. */
  readonly #reported = new Set<string>()
  #closed: Promise<void> | undefined

  constructor(parts: SharedParts) {
    super()
    const { tabs, clock, limits } = parts
    this.#parts = parts
    this.#outgoing = new Outgoing(this.tab, limits)
    this.#post = new Post(this.tab, tabs)
    this.#watch = new LeaderWatch(clock.now())
    this.#candidacy = new Candidacy(parts, {
      tab: this.tab,
      lead: (takeOver) => this.#lead(takeOver),
      lost: () => {
        this.#abandon()
        // Who leads has said so while this tab thought that it led.
        this.#post.send({ t: 'hello', tab: this.tab })
      },
      error: (error) => this.emit('error', error),
    })
    tabs.show(this.tab, this.#shown.signal)
    tabs.listen((data) => this.#hear(data))
    tabs.onLife((change) => this.#lives(change))
    this.#candidacy.apply()
    this.#post.send({ t: 'hello', tab: this.tab })
    this.#wakeLater()
  }

  /** Whether this tab has the connection. */
  get leads(): boolean {
    return this.#leader !== undefined
  }

  /**
   * Sends a message through the tab that leads. Strings go as they are, bytes as a binary frame, anything else as JSON.
   * A tab that is closed before `stored` has resolved may take it along.
   * @throws CommsError `BAD_REQUEST` for what cannot be sent, `DISPOSED` after `close()`, `UNSUPPORTED` for `volatile`,
   *   `QUEUE_FULL` under `overflow: 'reject'`
   */
  send(data: unknown, options?: TabSendOptions): TabReceipt {
    if (this.#closed)
      throw new CommsError('send: this tab has closed its shared connection', { code: 'DISPOSED' })
    if ((options as SendOptions | undefined)?.volatile) throw notShared('send with "volatile"', OWN_LINE)
    const receipt = this.#outgoing.send(snapshot(encode(data)), options, (id) =>
      this.emit('dropped', { id, reason: 'overflow' }),
    )
    this.#offer()
    if (!this.#leader && this.#watch.sent(this.#parts.clock.now())) this.#askLeader()
    return receipt
  }

  /**
   * Sets the one handler of messages. It runs in the tab that leads only, so that each message is handled once: all tabs
   * have to set the same. What each tab shows belongs into a listener of `message`.
   * @returns a function that removes it
   * @throws CommsError `UNSUPPORTED` when there is one already
   */
  handle(handler: Handler): () => void {
    if (this.#handler)
      throw new CommsError('handle: there is a handler already; what handle() returned removes it', {
        code: 'UNSUPPORTED',
      })
    this.#handler = handler
    this.#leader?.setHandler(handler)
    return () => {
      if (this.#handler !== handler) return
      this.#handler = undefined
      this.#leader?.setHandler(undefined)
    }
  }

  /**
   * Tabs share no requests.
   * @throws CommsError `UNSUPPORTED`, always: send the question with an `id`, and listen to `message` for its answer
   */
  async request(..._: unknown[]): Promise<never> {
    throw notShared(
      'request',
      'send() the question with an "id" of yours, and listen to "message" for its answer',
    )
  }

  /**
   * What is now or never does not go through another tab.
   * @throws CommsError `UNSUPPORTED`, always: live audio takes a `GuruConnection` in the tab that speaks
   */
  streamAudio(..._: unknown[]): never {
    throw notShared('streamAudio', OWN_LINE)
  }

  /**
   * As `streamAudio`.
   * @throws CommsError `UNSUPPORTED`, always
   */
  interrupt(..._: unknown[]): never {
    throw notShared('interrupt', OWN_LINE)
  }

  /** A snapshot of the leading tab's connection, as far as this tab has heard; `undefined` before it has. */
  getStats(): { leads: boolean; unconfirmed: number; connection: unknown } {
    const connection = this.#leader ? this.#leader.stats : this.#stats
    return { leads: this.leads, unconfirmed: this.#outgoing.unconfirmed, connection }
  }

  /**
   * This tab is done: another one leads on. What the leader has recorded is sent all the same. Resolves when the
   * connection and the outbox are given up.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close((leader) => leader.leave())
    return this.#closed
  }

  /**
   * For a logout: ends the session, closes the shared connection in every tab, and deletes its database, your object
   * stores in it and messages that were not sent included. Whoever opens a shared connection later begins anew.
   * @throws rejects with CommsError `STORAGE` when it cannot be deleted, say since a page of another version has it open
   */
  async wipe(): Promise<void> {
    if (!this.#closed) {
      this.#post.send({ t: 'wipe' })
      this.#closed = this.#close((leader) => leader.end())
    }
    await this.#closed
    await this.#parts.makeOutbox(false).wipe()
  }

  async #close(leave: (leader: Leader) => Promise<void>): Promise<void> {
    const leader = this.#leader
    this.#leader = undefined
    this.#outgoing.close()
    this.removeAllListeners()
    this.#parts.clock.clearTimeout(this.#timer)
    this.#post.send({ t: 'bye', tab: this.tab })
    this.#post.flush()
    // It keeps what is recorded.
    if (leader) await leave(leader)
    this.#candidacy.close()
    this.#shown.abort()
    this.#parts.tabs.close()
  }

  /** This tab is to lead. @throws what the app's `connect` throws */
  #lead(takeOver: boolean): void {
    const { clock, tabs, connect, makeOutbox } = this.#parts
    const term = randomId()
    this.#term = undefined
    const leader: Leader = new Leader(
      {
        tab: this.tab,
        term,
        clock,
        toTab: (frame) => (frame.to === this.tab ? this.#told(frame) : this.#post.send(frame)),
        toAll: (frame) => this.#post.send(frame),
        message: (message) => this.#message(message),
        status: (stats) => this.emit('status', stats),
        error: (error) => void this.emit('error', error),
        ready: () => {
          this.#term = term
          // All tabs send what may be missing again, in order.
          this.#post.send({ t: 'led', term })
          this.#sendAgain()
          this.emit('status', leader.stats)
        },
        present: () => tabs.present(),
        stillLeads: async () => (await tabs.leaders())?.has(this.tab) ?? false,
        lost: () => this.#candidacy.lost(),
      },
      makeOutbox(takeOver),
      connect,
    )
    this.#leader = leader
    this.#post.leads = true
    leader.setHandler(this.#handler)
    // Those that were about to take the lead over need not.
    this.#post.send({ t: 'here' })
    this.emit('leading')
  }

  #abandon(): void {
    const leader = this.#leader
    this.#leader = undefined
    this.#term = undefined
    this.#post.leads = false
    leader?.abandon()
  }

  #lives(change: 'away' | 'back' | 'gone'): void {
    if (this.#closed) return
    const { tabs, clock } = this.#parts
    if (change === 'gone') {
      this.#post.send({ t: 'bye', tab: this.tab })
      this.#post.flush()
    } else if (change === 'away' && this.#awaySince === undefined) {
      this.#awaySince = clock.wallNow()
      clock.clearTimeout(this.#timer)
      this.#post.flush()
      this.#abandon()
      this.#candidacy.withdraw()
      this.#shown.abort()
      tabs.suspend()
    } else if (change === 'back' && this.#awaySince !== undefined) this.#comeBack(this.#awaySince)
  }

  #comeBack(since: number): void {
    const { tabs, clock } = this.#parts
    this.#awaySince = undefined
    if (clock.wallNow() - since >= ABSENT_MS / 2) {
      const message = 'this page was away for so long that it cannot be known whether the message was sent'
      const doubt = (id: string) => new CommsError(`${id}: ${message}`, { code: 'SESSION_LOST' })
      for (const id of this.#outgoing.doubtOffered(doubt)) this.emit('inDoubt', { id, reason: message })
    }
    tabs.resume()
    this.#shown = new AbortController()
    tabs.show(this.tab, this.#shown.signal)
    this.#candidacy.apply()
    this.#post.send({ t: 'hello', tab: this.tab })
    this.#askLeader()
    this.#wakeLater()
  }

  #wakeLater(): void {
    const { clock } = this.#parts
    clock.clearTimeout(this.#timer)
    this.#timer = clock.setTimeout(() => this.#wake(), Math.max(0, this.#watch.wakeAt - clock.now()), true)
  }

  #wake(): void {
    const now = this.#parts.clock.now()
    if (this.#leader) this.#watch.heard(now)
    const due = this.#watch.wake(now)
    if (due === 'ask') this.#askLeader()
    if (due === 'takeOver') void this.#takeOver()
    this.#wakeLater()
  }

  #askLeader(): void {
    this.#post.send({ t: 'ask', tab: this.tab })
    this.#wakeLater()
  }

  /** The leader has not answered: it hangs, or it is of another version and must not be replaced. */
  async #takeOver(): Promise<void> {
    const { wakeAt } = this.#watch
    const holder = await this.#candidacy.rival().catch(() => undefined)
    // It was heard of meanwhile after all.
    if (this.#watch.wakeAt !== wakeAt || this.#closed || this.#leader || this.#awaySince !== undefined) return
    if (holder === 'hangs') this.#candidacy.apply(true)
    if (holder === 'foreign')
      this.#report('a tab of another version leads: reload or close it; what this tab sends waits until then')
  }

  /** What another tab says. */
  #hear(data: unknown): void {
    if (this.#closed) return
    const envelope = this.#post.read(data)
    if (typeof envelope === 'string') {
      this.#report(`${envelope}: it is ignored; reload the older one of the two`)
      return
    }
    if (envelope.leads) {
      if (this.#leader) this.#candidacy.doubt()
      else {
        this.#watch.heard(this.#parts.clock.now())
        this.#wakeLater()
      }
    }
    for (const frame of envelope.frames) {
      if (this.#closed) return
      this.#take(frame)
    }
  }

  #take(frame: Frame): void {
    if ('to' in frame) {
      if (frame.to === this.tab) this.#told(frame)
      return
    }
    switch (frame.t) {
      case 'led':
        this.#term = frame.term
        this.#sendAgain()
        return
      case 'message':
        this.#message(frame.message)
        return
      case 'status':
        this.#stats = frame.stats
        this.emit('status', frame.stats)
        return
      case 'wipe':
        this.emit(
          'error',
          new CommsError('another tab has wiped the shared connection', { code: 'DISPOSED' }),
        )
        this.#closed = this.#close((leader) => leader.end())
        return
      case 'ask':
        if (this.#leader) this.#post.send({ t: 'here' })
        return
      case 'here':
        return
      default:
        this.#leader?.take(frame)
    }
  }

  #offer(): void {
    if (this.#term === undefined) return
    for (const frame of this.#outgoing.offer(this.#term)) this.#toLeader(frame)
  }

  #sendAgain(): void {
    for (const frame of this.#outgoing.again(this.#term as string)) this.#toLeader(frame)
  }

  #message(message: unknown): void {
    this.emit('message', message)
    const type = typeOf(message)
    if (type !== undefined) this.emit(type as 'message', message)
  }

  #report(message: string): void {
    if (this.#reported.has(message)) return
    this.#reported.add(message)
    this.emit('error', new CommsError(`sharedConnection: ${message}`, { code: 'PROTOCOL' }))
  }

  /** The leader tells this tab about its messages. */
  #told(frame: ToTab): void {
    if (frame.t === 'lead') {
      this.#term = frame.term
      this.#sendAgain()
      return
    }
    settle(this.#outgoing, frame, (name, event) => this.emit(name, event as never))
    // The window has room for more.
    this.#offer()
  }

  #toLeader(frame: ToLeader): void {
    if (this.#leader) this.#leader.take(frame)
    else this.#post.send(frame)
  }
}

const OWN_LINE = 'open a GuruConnection without a storage in the tab that needs it'
