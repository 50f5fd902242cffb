// One connection for all tabs of a site: the tab that holds a Web Lock leads, that is, has the connection and its outbox;
// the others send through it. When it goes, however it goes, the browser hands the lock to the next, which takes up the
// same outbox. No timer is needed: who has something unconfirmed sends it again when a new leader says that it leads.

import { encode, snapshot } from '../connection/encoding.ts'
import { OWN_EVENTS, type ReportedError } from '../connection/events.ts'
import type { DropReason, MessageContext, SendOptions } from '../connection/messageLayer.ts'
import { Emitter } from '../core/emitter.ts'
import { CommsError } from '../core/errors.ts'
import { randomId } from '../core/randomId.ts'
import { messageSeq } from '../session/receipts.ts'
import type { OutboxStore } from '../session/store.ts'
import { Intake } from './intake.ts'
import { type MarkedOutbox, OriginOutbox } from './originOutbox.ts'
import { notShared, Outgoing, type TabReceipt } from './outgoing.ts'
import type { Mark, Origin, Refusal, TabSendOptions, ToAll, ToLeader, ToTab } from './protocol.ts'

/** The part of `GuruConnection` that a leader uses. */
export interface Line {
  send(
    data: string | ArrayBuffer,
    options?: TabSendOptions,
  ): { readonly id: string; readonly stored: Promise<void> }
  handle(handler: Handler): () => void
  on(name: string, listener: (...args: never[]) => void): unknown
  getStats(): unknown
  dispose(): void
}

type Handler = (message: unknown, context: MessageContext) => unknown

/** What the platform has for tabs; a test has its own. */
export interface Tabs {
  /** Runs `lead` when this tab is to lead; it leads until the promise settles. `signal` withdraws the wish. */
  lead(lead: () => Promise<void>, signal: AbortSignal): Promise<void>
  /** Shows that this tab is there, until `signal` or its end. */
  show(tab: string, signal: AbortSignal): void
  /** The tabs that are there. */
  present(): Promise<ReadonlySet<string>>
  /** Sends to all other tabs, in order. */
  post(message: ToLeader | ToTab | ToAll): void
  listen(listener: (message: ToLeader | ToTab | ToAll) => void): void
  close(): void
}

export interface SharedEvents {
  /** A message of the server, in every tab; also under its `type`, if it has one. */
  message: [message: unknown]
  /** This tab leads from now on. */
  leading: []
  /** What `getStats` says has changed. */
  status: [stats: unknown]
  /** The server has handled a message of this tab. */
  delivered: [message: { id: string }]
  /** A message of this tab will not arrive. */
  dropped: [message: { id: string; reason: DropReason }]
  /** It will never be known whether these messages were handled: those of this tab. */
  inDoubt: [message: { id: string; reason: string }]
  error: [error: ReportedError]
}

/** What there is in the tab that leads. */
interface Leading {
  readonly line: Line
  readonly outbox: OriginOutbox
  intake: Intake
  /** The outbox is read: it is known what must not be taken again. */
  ready: boolean
  unhandle: (() => void) | undefined
}

/**
 * What a client has for a connection that all tabs share: messages that have to arrive. What is now or never (`volatile`, audio), what
 * waits for one answer (`request`) and taking back (`cancel`) need a connection of the tab's own: they fail with `UNSUPPORTED`.
 */
export class SharedConnection extends Emitter<SharedEvents> {
  /** Names this tab among the others. */
  readonly tab: string = randomId()
  readonly #tabs: Tabs
  readonly #openLine: (storage: OutboxStore) => Line
  readonly #makeOutbox: () => MarkedOutbox
  readonly #outgoing: Outgoing
  readonly #end = new AbortController()
  #leading: Leading | undefined
  #resign: (() => void) | undefined
  #handler: Handler | undefined
  #stats: unknown
  /** The leader that this tab knows. */
  #term: string | undefined
  /** What the connection said last of a message that it dropped. */
  #latestDrop: { readonly id: string; readonly reason: DropReason } | undefined
  #closed: Promise<void> | undefined

  constructor(tabs: Tabs, openLine: (storage: OutboxStore) => Line, makeOutbox: () => MarkedOutbox) {
    super()
    this.#tabs = tabs
    this.#openLine = openLine
    this.#makeOutbox = makeOutbox
    this.#outgoing = new Outgoing(this.tab)
    const { signal } = this.#end
    tabs.show(this.tab, signal)
    tabs.listen((message) => this.#hear(message))
    tabs
      .lead(() => this.#lead(), signal)
      .catch((error: Error) => {
        if (!signal.aborted) this.emit('error', error)
      })
    this.#toLeader({ t: 'hello', tab: this.tab })
  }

  /** Whether this tab has the connection. */
  get leads(): boolean {
    return this.#leading !== undefined
  }

  /**
   * Sends a message through the tab that leads. Strings go as they are, bytes as a binary frame, anything else as JSON.
   * A tab that is closed before `stored` has resolved may take it along.
   * @throws CommsError `BAD_REQUEST` for what cannot be sent, `DISPOSED` after `close()`, `UNSUPPORTED` for `volatile`
   */
  send(data: unknown, options?: TabSendOptions): TabReceipt {
    if (this.#closed)
      throw new CommsError('send: this tab has closed its shared connection', { code: 'DISPOSED' })
    if ((options as SendOptions | undefined)?.volatile) throw notShared('send with "volatile"', OWN_LINE)
    const { receipt, frame } = this.#outgoing.send(snapshot(encode(data)), options, this.#term)
    if (frame) this.#toLeader(frame)
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
    this.#setHandler()
    return () => {
      if (this.#handler !== handler) return
      this.#handler = undefined
      this.#leading?.unhandle?.()
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
    const connection = this.#leading ? this.#leading.line.getStats() : this.#stats
    return { leads: this.leads, unconfirmed: this.#outgoing.unconfirmed, connection }
  }

  /**
   * This tab is done: another one leads on. What the leader has recorded is sent all the same. Resolves when the
   * connection and the outbox are given up.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const leading = this.#leading
    this.#leading = undefined
    this.#outgoing.close()
    this.removeAllListeners()
    // It keeps what is recorded.
    leading?.line.dispose()
    await leading?.outbox.left()
    this.#resign?.()
    this.#end.abort()
    this.#tabs.close()
  }

  async #lead(): Promise<void> {
    if (this.#closed) return
    const { promise: led, resolve } = Promise.withResolvers<void>()
    this.#resign = resolve
    const outbox = new OriginOutbox(
      this.#makeOutbox(),
      (tab) => this.#leading?.intake.mark(tab),
      (marks) => void this.#loaded(marks),
    )
    const line = this.#openLine(outbox)
    this.#leading = { line, outbox, intake: new Intake([]), ready: false, unhandle: undefined }
    this.#listenTo(line)
    this.#setHandler()
    this.emit('leading')
    await led
  }

  /** The outbox is read: from now on it is known what must not be taken again. */
  async #loaded(marks: readonly (readonly [string, Mark])[]): Promise<void> {
    const leading = this.#leading
    if (!leading || leading.ready) return
    // Before anybody hears of this leader: a tab that is gone by now has sent it nothing, and never will.
    const gone = await this.#gone(marks.map(([tab]) => tab))
    if (this.#closed) return
    leading.intake = new Intake(marks.filter(([tab]) => !gone.includes(tab)))
    leading.ready = true
    this.#term = this.tab
    // All tabs send what may be missing again, in order.
    this.#tabs.post({ t: 'led', term: this.tab })
    this.#sendAgain()
    this.#post({ t: 'status', stats: leading.line.getStats() })
    // They are a few bytes: where that fails, the next leader tries again.
    if (gone.length > 0) leading.outbox.forget(gone).catch(() => {})
  }

  async #gone(tabs: readonly string[]): Promise<string[]> {
    try {
      const present = await this.#tabs.present()
      return tabs.filter((tab) => tab !== this.tab && !present.has(tab))
    } catch {
      return []
    }
  }

  #setHandler(): void {
    const { line } = this.#leading ?? {}
    const handler = this.#handler
    if (line && handler && this.#leading) this.#leading.unhandle = line.handle(handler)
  }

  #listenTo(line: Line): void {
    line.on('message', (message: unknown) => {
      this.#tabs.post({ t: 'message', message })
      this.#message(message)
    })
    line.on('delivered', ({ id }: { id: string }) => {
      this.#tell(id, ({ tab, n }) => ({ t: 'delivered', to: tab, n }))
    })
    line.on('dropped', ({ id, reason }: { id: string; reason: DropReason }) => {
      this.#latestDrop = { id, reason }
      this.#dropped(id, reason)
    })
    line.on(
      'sessionLost',
      (lost: { reason: string; resent: boolean; inDoubt: readonly { id: string }[] }) => {
        if (lost.resent) return
        const message = `the message may or may not have been handled: the session was lost (${lost.reason})`
        for (const { id } of lost.inDoubt)
          this.#tell(id, ({ tab, n }) => ({ t: 'doubt', to: tab, n, message }))
      },
    )
    line.on('error', (error: Error) => void this.emit('error', error))
    for (const name of ['connectionState', 'statusChange'])
      line.on(name, () => this.#post({ t: 'status', stats: line.getStats() }))
  }

  #dropped(id: string, reason: DropReason): void {
    this.#tell(id, ({ tab, n }) => {
      this.#leading?.intake.refused(tab, n, {
        code: 'DROPPED',
        message: `the message was dropped: ${reason}`,
      })
      return { t: 'dropped', to: tab, n, reason }
    })
  }

  /** Tells the tab whose message has that name what became of it. */
  #tell(id: string, message: (origin: Origin) => ToTab): void {
    const origin = this.#leading?.outbox.settle(messageSeq(id))
    if (origin) this.#toTab(message(origin))
  }

  /** What another tab says. */
  #hear(message: ToLeader | ToTab | ToAll): void {
    if (this.#closed) return
    if ('to' in message) {
      if (message.to === this.tab) this.#told(message)
      return
    }
    switch (message.t) {
      case 'led':
        this.#term = message.term
        this.#sendAgain()
        return
      case 'message':
        this.#message(message.message)
        return
      case 'status':
        this.#stats = message.stats
        this.emit('status', message.stats)
        return
      default:
        this.#take(message)
    }
  }

  #sendAgain(): void {
    for (const message of this.#outgoing.again(this.#term as string)) this.#toLeader(message)
  }

  #message(message: unknown): void {
    this.emit('message', message)
    const type = (message as { type?: unknown } | null)?.type
    if (typeof type === 'string' && !OWN_EVENTS.has(type) && !SHARED_EVENTS.has(type))
      this.emit(type as 'message', message)
  }

  /** The leader: something for it. */
  #take(message: ToLeader): void {
    const leading = this.#leading
    if (!leading) return
    const { tab } = message
    if (!leading.ready) return
    if ('term' in message && message.term !== this.tab) return
    switch (message.t) {
      case 'hello':
        this.#toTab({ t: 'lead', to: tab, term: this.tab })
        this.#post({ t: 'status', stats: leading.line.getStats() })
        return
      case 'open':
        for (const n of message.ns) {
          if (leading.outbox.has({ tab, n })) continue
          const text = 'the leading tab died before it could tell what became of the message'
          this.#toTab({ t: 'doubt', to: tab, n, message: text })
        }
        return
      case 'send':
        this.#judge(leading, message)
    }
  }

  #judge(leading: Leading, message: ToLeader & { t: 'send' }): void {
    const { tab, n, base, data, options } = message
    const verdict = leading.intake.judge(tab, n, base)
    switch (verdict.do) {
      case 'take':
        this.#submit(leading, { tab, n }, data, options)
        return
      case 'confirm':
        this.#toTab({ t: 'stored', to: tab, n })
        return
      case 'refuse':
        this.#toTab({ t: 'refused', to: tab, n, why: verdict.why })
        return
      case 'again':
        this.#toTab({ t: 'lead', to: tab, term: this.tab })
    }
  }

  #submit(
    leading: Leading,
    origin: Origin,
    data: string | ArrayBuffer,
    options: TabSendOptions | undefined,
  ): void {
    const { line, outbox, intake } = leading
    const { tab, n } = origin
    const refuse = (error: unknown) => {
      const { code = 'CONNECTION', message } = error as CommsError
      const why: Refusal = { code, message }
      intake.refused(tab, n, why)
      this.#toTab({ t: 'refused', to: tab, n, why })
    }
    try {
      const { id, stored } = line.send(data, options)
      // Before anything of it is recorded: that is done when this turn is over.
      outbox.assign(messageSeq(id), origin)
      // It had to go at once. Known now, so that it is recorded with what comes next.
      const drop = this.#latestDrop
      if (drop?.id === id) this.#dropped(id, drop.reason)
      stored.then(
        () => {
          intake.recorded(tab, n)
          this.#toTab({ t: 'stored', to: tab, n })
        },
        (error: CommsError) => {
          // It is told as dropped; and what is disposed of here, the next leader is asked.
          if (error.code !== 'DISPOSED' && error.code !== 'DROPPED') refuse(error)
        },
      )
    } catch (error) {
      refuse(error)
    }
  }

  /** The leader tells this tab about its messages. */
  #told(message: ToTab): void {
    const id = 'n' in message ? `${this.tab}/${message.n}` : ''
    const outgoing = this.#outgoing
    switch (message.t) {
      case 'lead':
        this.#term = message.term
        this.#sendAgain()
        return
      case 'stored':
        outgoing.stored(message.n)
        return
      case 'refused': {
        const { n, why } = message
        const error = new CommsError(why.message, { code: why.code })
        if (why.code === 'STORAGE') outgoing.stored(n, error)
        else outgoing.failed(n, error)
        return
      }
      case 'delivered':
        if (outgoing.delivered(message.n)) this.emit('delivered', { id })
        return
      case 'dropped': {
        const { reason } = message
        const error = new CommsError(`message ${id} was dropped: ${reason}`, { code: 'DROPPED' })
        if (outgoing.failed(message.n, error)) this.emit('dropped', { id, reason })
        return
      }
      case 'doubt': {
        const error = new CommsError(`${id}: ${message.message}`, { code: 'SESSION_LOST' })
        if (outgoing.failed(message.n, error)) this.emit('inDoubt', { id, reason: message.message })
      }
    }
  }

  #toLeader(message: ToLeader): void {
    if (this.#leading) this.#take(message)
    else this.#tabs.post(message)
  }

  #toTab(message: ToTab): void {
    if (message.to === this.tab) this.#told(message)
    else this.#tabs.post(message)
  }

  #post(message: ToAll): void {
    this.#tabs.post(message)
    if (message.t === 'status') this.emit('status', message.stats)
  }
}

const OWN_LINE = 'open a GuruConnection without a storage in the tab that needs it'

const SHARED_EVENTS: ReadonlySet<string> = new Set<keyof SharedEvents>([
  'message',
  'leading',
  'status',
  'delivered',
  'dropped',
  'inDoubt',
  'error',
])
