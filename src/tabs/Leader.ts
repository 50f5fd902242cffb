// What there is in the tab that leads: the connection, its outbox, and what it takes of the tabs. It tells each tab what
// becomes of its messages, and all of them what the server says.

import type { DropReason, MessageContext } from '../connection/messageLayer.ts'
import type { Clock, TimerHandle } from '../core/clock.ts'
import type { CommsError } from '../core/errors.ts'
import { messageSeq } from '../session/receipts.ts'
import type { OutboxStore } from '../session/store.ts'
import { Absences } from './Absences.ts'
import { Intake } from './intake.ts'
import { type MarkedOutbox, nameOf, OriginOutbox } from './originOutbox.ts'
import type { Mark, Origin, Refusal, TabSendOptions, ToAll, ToLeader, ToTab } from './protocol.ts'
import { RecentNames } from './RecentNames.ts'

/** The part of `GuruConnection` that a leader uses. */
export interface Line {
  send(
    data: string | ArrayBuffer,
    options?: TabSendOptions,
  ): { readonly id: string; readonly stored: Promise<void> }
  handle(handler: Handler): () => void
  on(name: string, listener: (...args: never[]) => void): unknown
  getStats(): unknown
  close(): void
  dispose(): void
}

export type Handler = (message: unknown, context: MessageContext) => unknown

/** What a leader needs of its tab. */
export interface LeaderHost {
  readonly tab: string
  /** Names this leadership. */
  readonly term: string
  readonly clock: Clock
  /** To another tab, or to this one. */
  toTab(frame: ToTab): void
  /** To all other tabs. */
  toAll(frame: ToAll): void
  message(message: unknown): void
  status(stats: unknown): void
  error(error: Error): void
  /** The outbox is read: tabs may send. */
  ready(): void
  /** The tabs that are there. */
  present(): Promise<ReadonlySet<string>>
  /** Whether nobody has taken the lead over meanwhile. */
  stillLeads(): Promise<boolean>
  /** Somebody has. */
  lost(): void
}

/** When nothing ran here for so long, another tab may lead by now. Shorter than the time after which one takes over. */
const HANG_MS = 1500
/** How often the leader looks which tabs are there. */
const SWEEP_MS = 60_000

export class Leader {
  readonly #host: LeaderHost
  readonly #outbox: OriginOutbox
  readonly #absences = new Absences()
  readonly #line: Line
  /** A tab that was away asks what became of its messages. */
  readonly #delivered = new RecentNames(20_000)
  #intake = new Intake([])
  /** The outbox is read: it is known what must not be taken again. */
  #ready = false
  #over = false
  #unhandle: (() => void) | undefined
  #sweeper: TimerHandle | undefined
  #activeAt: number
  /** What the server said while it is asked whether this tab still leads. */
  #held: (() => void)[] | undefined
  /** What the connection said last of a message that it dropped. */
  #latestDrop: { readonly id: string; readonly reason: DropReason } | undefined

  /** @throws what `connect` throws */
  constructor(host: LeaderHost, outbox: MarkedOutbox, connect: (storage: OutboxStore) => Line) {
    this.#host = host
    this.#activeAt = host.clock.now()
    this.#outbox = new OriginOutbox(outbox, {
      mark: (tab, last) => ({ ...this.#intake.mark(tab, last), at: host.clock.wallNow() }),
      loaded: (marks) => void this.#loaded(marks),
      lost: () => {
        if (!this.#over) host.lost()
      },
    })
    this.#line = connect(this.#outbox)
    this.#listen()
    this.#sweeper = this.#sweepLater()
  }

  get ready(): boolean {
    return this.#ready
  }

  get stats(): unknown {
    return this.#line.getStats()
  }

  setHandler(handler: Handler | undefined): void {
    this.#unhandle?.()
    this.#unhandle =
      handler && this.#line.handle((message, context) => this.#run(() => handler(message, context)))
  }

  /** Something that a tab says. */
  take(frame: ToLeader): void {
    if (!this.#ready || this.#over) return
    if ('term' in frame && frame.term !== this.#host.term) return
    void this.#run(() => this.#take(frame))
  }

  #take(frame: ToLeader): void {
    const { tab } = frame
    switch (frame.t) {
      case 'hello':
        this.#host.toTab({ t: 'lead', to: tab, term: this.#host.term })
        this.#host.toAll({ t: 'status', stats: this.stats })
        return
      case 'open':
        for (const n of frame.ns) {
          if (this.#outbox.has({ tab, n })) continue
          if (this.#delivered.has(nameOf({ tab, n }))) {
            this.#host.toTab({ t: 'delivered', to: tab, n })
            continue
          }
          const message = 'the leading tab died before it could tell what became of the message'
          this.#host.toTab({ t: 'doubt', to: tab, n, message })
        }
        return
      case 'bye':
        this.#forget([tab])
        return
      case 'send':
        this.#judge(frame)
    }
  }

  /** Gives the lead up in order. What it has recorded is sent all the same, by whoever leads next. */
  async leave(): Promise<void> {
    this.#stop()
    this.#forget([this.#host.tab])
    this.#line.dispose()
    await this.#outbox.left()
  }

  /** Gives the lead up at once: the page is about to be frozen, or another tab leads already. */
  abandon(): void {
    this.#stop()
    this.#outbox.abandon()
    this.#line.dispose()
  }

  /** Ends the session for good. */
  async end(): Promise<void> {
    this.#stop()
    this.#line.close()
    this.#line.dispose()
    await this.#outbox.left()
  }

  #stop(): void {
    this.#over = true
    this.#held = undefined
    this.#host.clock.clearTimeout(this.#sweeper)
  }

  /** The outbox is read: from now on it is known what must not be taken again. */
  async #loaded(marks: readonly (readonly [string, Mark])[]): Promise<void> {
    if (this.#ready || this.#over) return
    this.#intake = new Intake(marks)
    const { clock } = this.#host
    for (const [tab, { at = clock.wallNow() }] of marks)
      this.#absences.heard(tab, clock.now() - Math.max(0, clock.wallNow() - at))
    this.#ready = true
    this.#host.ready()
    this.#host.toAll({ t: 'status', stats: this.stats })
    await this.#sweep()
  }

  #sweepLater(): TimerHandle {
    return this.#host.clock.setTimeout(() => {
      this.#sweeper = this.#sweepLater()
      void this.#sweep()
    }, SWEEP_MS)
  }

  /** Forgets tabs that have not been there for long. */
  async #sweep(): Promise<void> {
    if (!this.#ready) return
    const { clock, tab } = this.#host
    try {
      const present = await this.#host.present()
      if (this.#over) return
      const others = this.#intake.tabs.filter((one) => one !== tab)
      this.#forget(this.#absences.see(others, present, clock.now()))
    } catch {
      // They are a few bytes: the next look tries again.
    }
  }

  #forget(tabs: readonly string[]): void {
    if (tabs.length === 0) return
    for (const tab of tabs) this.#intake.forget(tab)
    this.#outbox.forget(tabs).catch(() => {})
  }

  #listen(): void {
    const on = <T>(name: string, listener: (value: T) => void) =>
      this.#line.on(name, (value: T) => {
        if (!this.#over) listener(value)
      })
    on('message', (message: unknown) => {
      void this.#run(() => {
        this.#host.toAll({ t: 'message', message })
        this.#host.message(message)
      })
    })
    on('delivered', ({ id }: { id: string }) => {
      this.#tell(id, (origin) => {
        this.#delivered.add(nameOf(origin))
        return { t: 'delivered', to: origin.tab, n: origin.n }
      })
    })
    on('dropped', ({ id, reason }: { id: string; reason: DropReason }) => {
      this.#latestDrop = { id, reason }
      void this.#run(() => this.#dropped(id, reason))
    })
    on('sessionLost', (lost: { reason: string; resent: boolean; inDoubt: readonly { id: string }[] }) => {
      if (lost.resent) return
      const message = `the message may or may not have been handled: the session was lost (${lost.reason})`
      void this.#run(() => {
        for (const { id } of lost.inDoubt)
          this.#tell(id, ({ tab, n }) => ({ t: 'doubt', to: tab, n, message }))
      })
    })
    on('error', (error: Error) => void this.#run(() => this.#host.error(error)))
    for (const name of ['connectionState', 'statusChange'])
      on(name, () => {
        void this.#run(() => {
          const { stats } = this
          this.#host.toAll({ t: 'status', stats })
          this.#host.status(stats)
        })
      })
  }

  /**
   * Runs what follows from what the server, the line or a tab says: at once, or, when this page may have hung for so long
   * that another tab leads, once it is known that none does. What is not done here, the next leader does.
   */
  #run<T>(work: () => T): T | Promise<T> {
    const now = this.#host.clock.now()
    const hung = now - this.#activeAt >= HANG_MS
    this.#activeAt = now
    if (!hung && !this.#held) return work()
    return new Promise<T>((resolve, reject) => {
      const run = () => {
        try {
          resolve(work())
        } catch (error) {
          reject(error)
        }
      }
      if (this.#held) this.#held.push(run)
      else {
        this.#held = [run]
        void this.#ask()
      }
    })
  }

  async #ask(): Promise<void> {
    const leads = await this.#host.stillLeads().catch(() => true)
    const held = this.#held ?? []
    this.#held = undefined
    if (this.#over) return
    if (!leads) {
      this.#host.lost()
      return
    }
    this.#activeAt = this.#host.clock.now()
    for (const run of held) run()
  }

  #dropped(id: string, reason: DropReason): void {
    this.#tell(id, ({ tab, n }) => {
      this.#intake.refused(tab, n, { code: 'DROPPED', message: `the message was dropped: ${reason}` })
      return { t: 'dropped', to: tab, n, reason }
    })
  }

  /** Tells the tab whose message has that name what became of it. */
  #tell(id: string, frame: (origin: Origin) => ToTab): void {
    const origin = this.#outbox.settle(messageSeq(id))
    if (origin) this.#host.toTab(frame(origin))
  }

  #judge({ tab, n, base, data, options }: ToLeader & { t: 'send' }): void {
    const verdict = this.#intake.judge(tab, n, base)
    switch (verdict.do) {
      case 'take':
        this.#submit({ tab, n }, data, options)
        return
      case 'confirm':
        this.#host.toTab({ t: 'stored', to: tab, n })
        return
      case 'refuse':
        this.#host.toTab({ t: 'refused', to: tab, n, why: verdict.why })
        return
      case 'again':
        this.#host.toTab({ t: 'lead', to: tab, term: this.#host.term })
    }
  }

  #submit(origin: Origin, data: string | ArrayBuffer, options: TabSendOptions | undefined): void {
    const { tab, n } = origin
    const refuse = (error: unknown) => {
      const { code = 'CONNECTION', message } = error as CommsError
      const why: Refusal = { code, message }
      this.#intake.refused(tab, n, why)
      this.#host.toTab({ t: 'refused', to: tab, n, why })
    }
    try {
      const { id, stored } = this.#line.send(data, options)
      // Before anything of it is recorded: that is done when this turn is over.
      this.#outbox.assign(messageSeq(id), origin)
      // It had to go at once. Known now, so that it is recorded with what comes next.
      const drop = this.#latestDrop
      if (drop?.id === id) this.#dropped(id, drop.reason)
      stored.then(
        () => {
          if (this.#over) return
          this.#intake.recorded(tab, n)
          this.#host.toTab({ t: 'stored', to: tab, n })
        },
        (error: CommsError) => {
          // It is told as dropped; and what is disposed of here, the next leader is asked.
          if (this.#over || error.code === 'DISPOSED' || error.code === 'DROPPED') return
          void this.#run(() => refuse(error))
        },
      )
    } catch (error) {
      refuse(error)
    }
  }
}
