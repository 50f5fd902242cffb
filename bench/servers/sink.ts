// The other end of a line without a network: a WebSocket class for the option `WebSocket` that takes all it is given. In a session it
// acknowledges as a server of guru.v1 does.

import type { WebSocketClass } from 'guru-comms/GuruConnection'

export type SinkSession = 'off' | 'required'

const LIMITS = '"ttl":60000,"maxMessages":1024,"maxBytes":4194304,"maxFrame":1048576,"ping":0'
const OPENED = `{"t":"opened","sid":"sink","key":"key","rx":0,${LIMITS}}`
const ACK_EVERY = 32

export interface Sink {
  readonly WebSocket: WebSocketClass
  /** Resolves with message `count`. */
  taken(count: number): Promise<void>
}

export function sinkOf(session: SinkSession): Sink {
  let received = 0
  let awaited = Number.POSITIVE_INFINITY
  let resolve = () => {}
  class SinkSocket {
    readyState = 0
    readonly bufferedAmount = 0
    binaryType = 'blob'
    readonly protocol = session === 'off' ? '' : 'guru.v1'
    onopen: ((event: object) => void) | null = null
    onmessage: ((event: object) => void) | null = null
    onerror: ((event: object) => void) | null = null
    onclose: ((event: object) => void) | null = null
    #owed = 0

    constructor() {
      queueMicrotask(() => {
        this.readyState = 1
        this.onopen?.({})
      })
    }

    send(data: unknown): void {
      if (typeof data === 'string' && data.startsWith('{"t":')) {
        if (data.startsWith('{"t":"open"')) queueMicrotask(() => this.onmessage?.({ data: OPENED }))
        return
      }
      received += 1
      if (session === 'required' && (received % ACK_EVERY === 0 || received === awaited)) this.#acknowledge()
      if (received === awaited) resolve()
    }

    close(): void {
      this.readyState = 3
    }

    /** One ack for all that came in this turn, after it. */
    #acknowledge(): void {
      if (this.#owed === 0) {
        queueMicrotask(() => {
          const rx = this.#owed
          this.#owed = 0
          this.onmessage?.({ data: `{"t":"ack","rx":${rx}}` })
        })
      }
      this.#owed = received
    }
  }
  return {
    WebSocket: SinkSocket as unknown as WebSocketClass,
    taken: (count) =>
      new Promise((settle) => {
        awaited = count
        resolve = settle
        if (received >= count) settle()
      }),
  }
}
