// reconnecting-websocket is CommonJS with `default`: seen from a module its class stands one level down.

import * as loaded from 'reconnecting-websocket'

/** What the benchmarks use of it. */
interface Socket {
  addEventListener(name: 'open' | 'close', listener: () => void): void
  addEventListener(name: 'message', listener: (event: { data: string }) => void): void
  send(data: string): void
  close(): void
}

type Constructor = new (url: string, protocols?: string[], options?: object) => Socket

const { default: first } = loaded as unknown as { default: Constructor | { default: Constructor } }

export const ReconnectingWebSocket: Constructor = typeof first === 'function' ? first : first.default
