// Messages without a session: what is on the wire is gone, what is not waits in order.
// Nothing is ever sent twice, so after a break it is unknown whether the last messages arrived.

import { CommsError } from '../core/errors.ts'
import { messageId, rejected } from '../session/receipts.ts'
import { byteLength, type Payload } from './encoding.ts'
import type { LayerHost, MessageLayer, SendOptions } from './messageLayer.ts'
import { type QueueLimits, SendQueue } from './sendQueue.ts'

/** Whether a close code means "your message was the reason": not the agreed kind, too large (RFC 6455 section 7.4.1). */
const isRefusal = (code: number): boolean => code === 1007 || code === 1009

/** Good enough to compare two messages, and cheap enough to do so at every send. */
function sizeOf(payload: Payload): number {
  return typeof payload === 'string' ? payload.length : payload.byteLength
}

/** What a close over one message could be about. */
interface Suspects {
  /** How many messages were sent. */
  count: number
  /** The largest of them: of many, it is the one that a server may have found too large. */
  largest: Payload
  seq: number
}

/** The queue, and the way past it while nothing waits and the line is open. */
export class PlainLayer extends SendQueue implements MessageLayer {
  readonly #host: LayerHost
  #seq = 0
  /** The number of the last message that the full queue dropped on arrival: its receipt has to know. */
  #refusedSeq = 0
  /** What was sent since something was last heard: the server may have found any of it too large. */
  #suspects: Suspects | undefined

  constructor(host: LayerHost, limits: QueueLimits) {
    super(limits, host)
    this.#host = host
  }

  get lossless(): boolean {
    return false
  }

  send(payload: Payload, now: number, options?: SendOptions): number {
    const seq = this.#seq + 1
    if (this.queuedMessages > 0 || !this.#write(seq, payload)) {
      const result = this.push(seq, payload, now, options)
      if (result === 'rejected') {
        const full = `${this.queuedMessages} messages, ${this.queuedBytes} bytes`
        const message = `the queue is full (${full}): the message was not accepted`
        throw new CommsError(message, { code: 'QUEUE_FULL' })
      }
      if (result === 'dropped') this.#refusedSeq = seq
    }
    this.#seq = seq
    return seq
  }

  sendVolatile(payload: Payload): boolean {
    return this.#host.write(payload)
  }

  stored(seq: number): Promise<void> {
    if (seq !== this.#refusedSeq) return Promise.resolve()
    return rejected('DROPPED', `the queue was full: message ${messageId(seq)} was dropped`)
  }

  delivered(): Promise<void> {
    return rejected('UNSUPPORTED', 'delivered: a plain connection cannot know; it takes a session')
  }

  /** Another layer takes over: gives it all that waits, in order. Returns the number of the latest message. */
  handOver(take: (seq: number, payload: Payload, options: SendOptions | undefined) => void): number {
    for (const [seq, { payload, options }] of this.waiting()) {
      this.withdraw(seq)
      take(seq, payload, options)
    }
    return this.#seq
  }

  opened(now: number): void {
    this.wake(now)
    for (const [seq, { payload }] of this.waiting()) {
      if (!this.#write(seq, payload)) return
      this.withdraw(seq)
    }
  }

  stable(): void {}

  /** A frame came in: what was sent before it was taken. */
  heard(): void {
    this.#suspects = undefined
  }

  ended(code: number): void {
    if (this.#suspects && isRefusal(code)) this.#report(code, this.#suspects)
    this.#suspects = undefined
  }

  discard(): void {
    for (const [seq, { payload }] of this.waiting()) {
      this.withdraw(seq)
      this.#host.dropped(seq, payload, 'closed')
    }
  }

  #write(seq: number, payload: Payload): boolean {
    if (!this.#host.write(payload)) return false
    const suspects = this.#suspects
    if (!suspects) this.#suspects = { count: 1, largest: payload, seq }
    else {
      suspects.count += 1
      if (sizeOf(payload) > sizeOf(suspects.largest)) {
        suspects.largest = payload
        suspects.seq = seq
      }
    }
    return true
  }

  #report(code: number, { count, largest, seq }: Suspects): void {
    // A refusal for its kind (1007) says nothing about size: with several messages the culprit is unknown.
    const known = count === 1 || code === 1009
    if (known) this.#host.dropped(seq, largest, 'refused')
    const culprit = known
      ? `${messageId(seq)} (${byteLength(largest)} bytes), now set aside`
      : 'unknown which'
    const message = `the server closed with ${code} over one of the last ${count} messages: ${culprit}; none is sent again`
    this.#host.error(new CommsError(message, { code: 'PROTOCOL' }))
  }
}
