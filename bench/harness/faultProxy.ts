// A TCP proxy that does to the connections of one client what networks do: cuts them in mid-flow, swallows all that is sent, leaves
// one end alone with a dead line. What it lets through takes a while, so that something is always under way.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** One way. */
const LATENCY_MS = 10
/** A frame without content, masked: that is no flow. */
const PONG_BYTES = 6

export type End = 'client' | 'server'

export interface FaultProxy {
  readonly port: number
  /** Resolves as soon as a message from that end has come in, before it goes out again. */
  flow(from: End): Promise<void>
  /** Breaks every connection; what is under way is lost. */
  cut(): void
  /** From now on nothing arrives anywhere, and nobody is told. */
  swallow(): void
  /** The ends of what was swallowed learn that it is over; new connections work again. */
  recover(): void
  /** The other end's connection is gone; this end goes on to believe in its own. */
  leaveAlone(end: End): void
  close(): Promise<void>
}

class Carried {
  readonly #sockets: Record<End, Socket>
  /** Nothing arrives any more, the end of the connection included. */
  mute: boolean
  readonly #onFlow: (from: End) => void
  #over = false

  constructor(
    client: Socket,
    server: Socket,
    { mute, onFlow, onGone }: { mute: boolean; onFlow(from: End): void; onGone(): void },
  ) {
    this.#sockets = { client, server }
    this.mute = mute
    this.#onFlow = onFlow
    this.#carry('client', 'server')
    this.#carry('server', 'client')
    const gone = () => {
      if (client.destroyed && server.destroyed) onGone()
    }
    client.on('close', gone)
    server.on('close', gone)
  }

  reset(...ends: readonly End[]): void {
    for (const end of ends) {
      const socket = this.#sockets[end]
      // A connection that is still being made cannot be reset.
      if (socket.connecting) socket.destroy()
      else socket.resetAndDestroy()
    }
  }

  cut(): void {
    this.#over = true
    this.reset('client', 'server')
  }

  #carry(from: End, to: End): void {
    const [source, sink] = [this.#sockets[from], this.#sockets[to]]
    const later = (deed: () => void) => {
      setTimeout(() => {
        if (!this.#over && !this.mute) deed()
      }, LATENCY_MS)
    }
    source.setNoDelay(true)
    source.on('data', (data) => {
      if (data.length > PONG_BYTES) this.#onFlow(from)
      later(() => sink.write(data))
    })
    source.on('error', () => {})
    source.on('close', () => later(() => sink.destroy()))
  }
}

export async function startFaultProxy(target: number): Promise<FaultProxy> {
  const connections = new Set<Carried>()
  const awaited: { from: End; resolve(): void }[] = []
  let swallowing = false
  const listener = createServer((client) => {
    const server = connect(target, '127.0.0.1')
    const carried: Carried = new Carried(client, server, {
      mute: swallowing,
      onFlow(from) {
        for (const one of [...awaited]) {
          if (one.from === from) awaited.splice(awaited.indexOf(one), 1)[0]?.resolve()
        }
      },
      onGone: () => connections.delete(carried),
    })
    connections.add(carried)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return {
    port: (listener.address() as AddressInfo).port,
    flow: (from) => new Promise((resolve) => awaited.push({ from, resolve })),
    cut() {
      for (const carried of connections) carried.cut()
    },
    swallow() {
      swallowing = true
      for (const carried of connections) carried.mute = true
    },
    recover() {
      swallowing = false
      for (const carried of connections) if (carried.mute) carried.cut()
    },
    leaveAlone(end) {
      for (const carried of connections) {
        carried.mute = true
        carried.reset(end === 'client' ? 'server' : 'client')
      }
    },
    async close() {
      for (const carried of connections) carried.cut()
      listener.close()
      await once(listener, 'close')
    },
  }
}
