// A tab's own messages until their fate is known. They wait, bounded like a queue, until there is a leader with room for
// them; then each gets a number and is offered, and from there on nothing but the leader's word ends it.

import { byteLength } from '../connection/encoding.ts'
import { CommsError } from '../core/errors.ts'
import { RingBuffer } from '../core/ringBuffer.ts'
import { unheard } from '../session/receipts.ts'
import type { TabSendOptions, ToLeader } from './protocol.ts'

/** The fate of one message; nobody has to hear a rejection. */
export interface TabReceipt {
  /** Names the message in the events `dropped` and `delivered`; unique over all tabs. */
  readonly id: string
  /** Resolves once the leading tab has recorded the message. Rejects with the code of the refusal. */
  readonly stored: Promise<void>
  /** Resolves when the server's handler has settled. Rejects `DROPPED`, or `SESSION_LOST` when that will never be known. */
  readonly delivered: Promise<void>
  /**
   * What has been handed to the leading tab cannot be taken back; `ttl` bounds how long it may wait.
   * @throws CommsError `UNSUPPORTED`, always
   */
  cancel(): never
}

/** What this tab may keep until the leader has it. */
export interface BacklogLimits {
  readonly maxQueueMessages: number
  readonly maxQueueBytes: number
  readonly overflow: 'drop-oldest' | 'drop-newest' | 'reject'
}

/** The error of what a connection of one tab can do and a shared one cannot. @param instead what to do */
export function notShared(what: string, instead: string): CommsError {
  return new CommsError(`${what}: a connection that tabs share cannot do that; ${instead}`, {
    code: 'UNSUPPORTED',
  })
}

function cancel(): never {
  throw notShared('cancel', 'give the message a "ttl" when you send it')
}

interface Sent {
  readonly id: string
  readonly data: string | ArrayBuffer
  readonly bytes: number
  readonly options: TabSendOptions | undefined
  readonly stored: PromiseWithResolvers<void>
  readonly delivered: PromiseWithResolvers<void>
}

/** So much is offered to the leader before it has confirmed any: it is to record in rounds that leave its page free. */
const WINDOW_MESSAGES = 256
const WINDOW_BYTES = 2 ** 20

export class Outgoing {
  readonly #tab: string
  readonly #limits: BacklogLimits
  #ids = 0
  #backlog = new RingBuffer<Sent>()
  #backlogBytes = 0
  #last = 0
  /** Offered, and not known to be recorded, in order. */
  readonly #unconfirmed = new Map<number, Sent>()
  #unconfirmedBytes = 0
  /** Recorded, and undecided. */
  readonly #open = new Map<number, Sent>()

  constructor(tab: string, limits: BacklogLimits) {
    this.#tab = tab
    this.#limits = limits
  }

  /** Messages that the leader may not have. */
  get unconfirmed(): number {
    return this.#backlog.length + this.#unconfirmed.size
  }

  /**
   * Takes a message.
   * @param onDropped is told the names of those that have to make room
   * @throws CommsError `QUEUE_FULL` under `overflow: 'reject'`
   */
  send(
    data: string | ArrayBuffer,
    options: TabSendOptions | undefined,
    onDropped: (id: string) => void,
  ): TabReceipt {
    const bytes = byteLength(data)
    const { overflow, maxQueueMessages, maxQueueBytes } = this.#limits
    const full = () => this.#backlog.length >= maxQueueMessages || this.#backlogBytes + bytes > maxQueueBytes
    const hopeless = bytes > maxQueueBytes || maxQueueMessages < 1
    if (full() && overflow === 'reject') {
      const held = `${this.#backlog.length} messages, ${this.#backlogBytes} bytes`
      throw new CommsError(`send: this tab holds ${held} for the leading one: wait, or raise the limits`, {
        code: 'QUEUE_FULL',
      })
    }
    this.#ids += 1
    const sent: Sent = {
      id: `${this.#tab}/${this.#ids}`,
      data,
      bytes,
      options,
      stored: Promise.withResolvers<void>(),
      delivered: Promise.withResolvers<void>(),
    }
    const { id, stored, delivered } = sent
    const receipt: TabReceipt = {
      id,
      stored: unheard(stored.promise),
      delivered: unheard(delivered.promise),
      cancel,
    }
    if (full() && (hopeless || overflow === 'drop-newest')) {
      drop(sent, onDropped)
      return receipt
    }
    while (full()) {
      const oldest = this.#backlog.shift() as Sent
      this.#backlogBytes -= oldest.bytes
      drop(oldest, onDropped)
    }
    this.#backlog.push(sent)
    this.#backlogBytes += bytes
    return receipt
  }

  /** What the leader may be offered now: those that wait get their numbers as the window has room for them. */
  offer(term: string): ToLeader[] {
    const frames: ToLeader[] = []
    while (this.#backlog.length > 0 && this.#admits((this.#backlog.at(0) as Sent).bytes)) {
      const sent = this.#backlog.shift() as Sent
      this.#backlogBytes -= sent.bytes
      this.#last += 1
      this.#unconfirmed.set(this.#last, sent)
      this.#unconfirmedBytes += sent.bytes
      frames.push(this.#frame(this.#last, sent, this.#base, term))
    }
    return frames
  }

  /** All that a new leader has to be told: what it may not have, in order, and what it shall go on to tell us about. */
  again(term: string): ToLeader[] {
    const base = this.#base
    const frames = Array.from(this.#unconfirmed, ([n, sent]) => this.#frame(n, sent, base, term))
    if (this.#open.size > 0) frames.push({ t: 'open', term, tab: this.#tab, ns: [...this.#open.keys()] })
    return [...frames, ...this.offer(term)]
  }

  /** The leader has it; `error` when it could not be recorded, and is kept in memory. */
  stored(n: number, error?: CommsError): void {
    const sent = this.#confirm(n)
    if (!sent) return
    this.#open.set(n, sent)
    if (error) sent.stored.reject(error)
    else sent.stored.resolve()
  }

  /** The name of the message; nothing when its fate was known. */
  delivered(n: number): string | undefined {
    this.stored(n)
    const sent = this.#open.get(n)
    this.#open.delete(n)
    sent?.delivered.resolve()
    return sent?.id
  }

  /** It will not be handled, or nobody will ever know. The name of the message; nothing when its fate was known. */
  failed(n: number, error: (id: string) => CommsError): string | undefined {
    const sent = this.#confirm(n) ?? this.#open.get(n)
    this.#open.delete(n)
    if (sent) fail(sent, error(sent.id))
    return sent?.id
  }

  /** The tab was away for so long that leaders may have forgotten it: whether they took what was offered, nobody knows. */
  doubtOffered(error: (id: string) => CommsError): string[] {
    return [...this.#unconfirmed.keys(), ...this.#open.keys()].flatMap((n) => this.failed(n, error) ?? [])
  }

  /** The tab stops. What it recorded is sent all the same; it does not hear of it. */
  close(): void {
    const error = new CommsError('this tab has closed its shared connection', { code: 'DISPOSED' })
    this.doubtOffered(() => error)
    for (const sent of this.#backlog) fail(sent, error)
    this.#backlog.clear()
    this.#backlogBytes = 0
  }

  #admits(bytes: number): boolean {
    const { size } = this.#unconfirmed
    return size === 0 || (size < WINDOW_MESSAGES && this.#unconfirmedBytes + bytes <= WINDOW_BYTES)
  }

  get #base(): number {
    const [base = this.#last + 1] = this.#unconfirmed.keys()
    return base
  }

  #confirm(n: number): Sent | undefined {
    const sent = this.#unconfirmed.get(n)
    if (!sent) return undefined
    this.#unconfirmed.delete(n)
    this.#unconfirmedBytes -= sent.bytes
    return sent
  }

  #frame(n: number, { data, options }: Sent, base: number, term: string): ToLeader {
    return { t: 'send', term, tab: this.#tab, n, base, data, options }
  }
}

function drop(sent: Sent, onDropped: (id: string) => void): void {
  fail(sent, new CommsError(`message ${sent.id} was dropped: overflow`, { code: 'DROPPED' }))
  onDropped(sent.id)
}

function fail({ stored, delivered }: Sent, error: CommsError): void {
  stored.reject(error)
  delivered.reject(error)
}
