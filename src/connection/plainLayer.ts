// Messages without a session: what is on the wire is gone, what is not waits in order.
// Nothing is ever sent twice, so after a break it is unknown whether the last messages arrived.

import { CommsError } from '../core/errors.ts'
import { byteLength, type Payload } from './encoding.ts'
import type { LayerHost, MessageLayer } from './messageLayer.ts'
import { messageId, PlainReceipt, type Receipt } from './receipt.ts'
import { type QueueLimits, SendQueue } from './sendQueue.ts'

/** Close codes that mean "your message was the reason": not the agreed kind, too large (RFC 6455 section 7.4.1). */
const REFUSING: ReadonlySet<number> = new Set([1007, 1009])

/** Good enough to compare two messages, and cheap enough to do so at every send. */
function sizeOf(payload: Payload): number {
  return typeof payload === 'string' ? payload.length : payload.byteLength
}

export class PlainLayer implements MessageLayer {
  readonly #host: LayerHost
  readonly #limits: QueueLimits
  #queue: SendQueue | undefined
  #seq = 0
  /** The number of the last message that the full queue dropped on arrival: its receipt has to know. */
  #refusedSeq = 0
  // What a close over one message (1007, 1009) could be about: counted until the line has proved good.
  #watching = false
  #sentCount = 0
  #largest: Payload | undefined
  #largestSeq = 0

  constructor(host: LayerHost, limits: QueueLimits) {
    this.#host = host
    this.#limits = limits
  }

  get queuedMessages(): number {
    return this.#queue?.length ?? 0
  }

  get queuedBytes(): number {
    return this.#queue?.bytes ?? 0
  }

  get expiresAt(): number {
    return this.#queue?.expiresAt(this.#limits) ?? Infinity
  }

  send(payload: Payload, now: number): number {
    const seq = this.#seq + 1
    const waiting = this.#queue !== undefined && this.#queue.length > 0
    if (!waiting && this.#write(seq, payload)) {
      this.#seq = seq
      return seq
    }
    this.#queue ??= new SendQueue()
    const result = this.#queue.push(seq, payload, now, this.#limits, this.#host)
    if (result === 'rejected') {
      const { length, bytes } = this.#queue
      throw new CommsError(
        `the queue is full (${length} messages, ${bytes} bytes waiting): the message was not accepted`,
        { code: 'QUEUE_FULL' },
      )
    }
    this.#seq = seq
    if (result === 'dropped') this.#refusedSeq = seq
    return seq
  }

  receipt(seq: number): Receipt {
    return new PlainReceipt(this, seq, this.accepted(seq))
  }

  accepted(seq: number): boolean {
    return seq !== this.#refusedSeq
  }

  queued(seq: number): boolean {
    return this.#queue?.has(seq) ?? false
  }

  withdraw(seq: number): boolean {
    return this.#queue?.remove(seq) ?? false
  }

  opened(now: number): void {
    this.#watching = true
    this.#sentCount = 0
    this.expire(now)
    const queue = this.#queue
    if (!queue) return
    for (let seq = queue.firstSeq; seq !== undefined; seq = queue.firstSeq) {
      if (!this.#write(seq, queue.first as Payload)) return
      queue.shift()
    }
  }

  stable(): void {
    this.#watching = false
    this.#largest = undefined
  }

  ended(code: number): void {
    const largest = this.#largest
    if (this.#watching && largest !== undefined && REFUSING.has(code)) this.#report(code, largest)
    this.stable()
  }

  expire(now: number): void {
    this.#queue?.expire(now, this.#limits, this.#host)
  }

  discard(): void {
    const queue = this.#queue
    this.#queue = undefined
    if (!queue) return
    for (let seq = queue.firstSeq; seq !== undefined; seq = queue.firstSeq) {
      this.#host.dropped(seq, queue.shift() as Payload, 'closed')
    }
  }

  #write(seq: number, payload: Payload): boolean {
    if (!this.#host.write(payload)) return false
    if (this.#watching) this.#suspect(seq, payload)
    return true
  }

  /** Remembers the largest: of many messages it is the one that a server may have found too large. */
  #suspect(seq: number, payload: Payload): void {
    this.#sentCount += 1
    if (this.#largest !== undefined && sizeOf(payload) <= sizeOf(this.#largest)) return
    this.#largest = payload
    this.#largestSeq = seq
  }

  #report(code: number, largest: Payload): void {
    const id = messageId(this.#largestSeq)
    // A refusal for its kind (1007) says nothing about size: with several messages the culprit is unknown.
    const known = this.#sentCount === 1 || code === 1009
    if (known) this.#host.dropped(this.#largestSeq, largest, 'refused')
    const what = known
      ? `message ${id} (${byteLength(largest)} bytes) is set aside`
      : 'which of them is unknown, none is sent again'
    const others = this.#sentCount - 1
    this.#host.error(
      new CommsError(
        `the server closed with ${code} over one of ${this.#sentCount} messages sent: ${what}${others > 0 ? '; those sent after it were not read' : ''}`,
        { code: 'PROTOCOL' },
      ),
    )
  }
}
