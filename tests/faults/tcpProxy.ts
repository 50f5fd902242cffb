// A TCP proxy in front of a server, that counts bytes and does to each connection what it is told.

import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'

/** From the client to the server, and back. */
export type Direction = 'up' | 'down'

export interface Carried {
  /** In the order of arrival, from 1. */
  readonly number: number
  /** Bytes let through so far. */
  readonly bytes: Readonly<Record<Direction, number>>
  /** Cuts it as soon as so many bytes have been let through. */
  cutAfter(direction: Direction, bytes: number): void
  /** From now on nothing comes out at the other end, neither bytes nor the end of the connection. */
  swallow(...directions: readonly Direction[]): void
}

export interface TcpProxy {
  readonly port: number
  /** Where new connections go. */
  target: number
  readonly connections: readonly Carried[]
  close(): Promise<unknown>
}

class Connection implements Carried {
  readonly number: number
  readonly bytes = { up: 0, down: 0 }
  readonly #client: Socket
  readonly #server: Socket
  readonly #limit = { up: Infinity, down: Infinity }
  readonly #swallows = new Set<Direction>()
  #over = false

  constructor(number: number, client: Socket, server: Socket) {
    this.number = number
    this.#client = client
    this.#server = server
    this.#carry('up', client, server)
    this.#carry('down', server, client)
  }

  cutAfter(direction: Direction, bytes: number): void {
    this.#limit[direction] = bytes
    if (this.bytes[direction] >= bytes) this.#cut(direction === 'up' ? this.#server : this.#client)
  }

  swallow(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#swallows.add(direction)
  }

  destroy(): void {
    this.#client.destroy()
    this.#server.destroy()
  }

  #carry(direction: Direction, from: Socket, to: Socket): void {
    from.on('data', (data) => {
      if (this.#over || this.#swallows.has(direction)) return
      const part = data.subarray(0, this.#limit[direction] - this.bytes[direction])
      this.bytes[direction] += part.length
      to.write(part)
      if (this.bytes[direction] >= this.#limit[direction]) this.#cut(to)
    })
    from.on('error', () => {})
    from.on('close', () => {
      if (!this.#over && !this.#swallows.has(direction)) to.destroy()
    })
  }

  /** What has been let through shall arrive, so the end comes after it. */
  #cut(to: Socket): void {
    if (this.#over) return
    this.#over = true
    to.end(() => this.destroy())
  }
}

/**
 * @param target the port of the server
 * @param onConnection before the first byte is carried
 */
export async function startProxy(
  target: number,
  onConnection: (connection: Carried) => void = () => {},
): Promise<TcpProxy> {
  const connections: Connection[] = []
  const server = createServer((client) => {
    const connection = new Connection(
      connections.length + 1,
      client,
      connectTcp({ port: proxy.target, host: '127.0.0.1', noDelay: true }),
    )
    connections.push(connection)
    onConnection(connection)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = {
    port: (server.address() as AddressInfo).port,
    target,
    connections,
    close() {
      for (const connection of connections) connection.destroy()
      return new Promise((resolve) => server.close(resolve))
    },
  }
  return proxy
}
