// Server nodes within one process, each with a store and a client of the engine of its own.

import { type RedisSessionStore, redisSessionStore } from '../../src/redis/RedisSessionStore.ts'
import type { RedisSessionStoreOptions } from '../../src/redis/sessionStoreOptions.ts'
import type { Session, SessionEvents, SessionMessageContext } from '../../src/server/Session.ts'
import { SessionServer } from '../../src/server/SessionServer.ts'
import type { SessionServerOptions } from '../../src/server/sessionServerOptions.ts'
import { FrameClient, listen } from './frameClient.ts'
import type { OpenedEngine } from './redisClients.ts'

/** Whatever a handler of a test wants to do with a message. */
export type Handle = (data: unknown, context: SessionMessageContext, node: Node) => unknown

export interface NodeOptions {
  readonly open: () => OpenedEngine | Promise<OpenedEngine>
  readonly handle?: Handle
  readonly store?: Partial<RedisSessionStoreOptions>
  readonly server?: SessionServerOptions
}

export class Node {
  readonly server: SessionServer
  readonly store: RedisSessionStore
  readonly handled: string[] = []
  readonly ends: SessionEvents['lost'][0][] = []
  readonly errors: unknown[] = []
  readonly port: number
  readonly opened: OpenedEngine
  readonly #stopListening: () => Promise<void>
  readonly #clients: FrameClient[] = []

  private constructor(options: NodeOptions, opened: OpenedEngine, http: Awaited<ReturnType<typeof listen>>) {
    this.opened = opened
    this.port = http.port
    this.#stopListening = http.close
    this.store = redisSessionStore({ engine: opened.engine, lease: 2000, ...options.store })
    this.server = new SessionServer({ store: this.store, ...options.server })
    this.server.on('error', (error) => this.errors.push(error))
    this.server.onSession((session) => {
      session.on('lost', (end) => this.ends.push(end))
      session.handle((data, context) => {
        this.handled.push(String(data) + (context.redelivered ? '?' : ''))
        return options.handle?.(data, context, this)
      })
    })
    this.server.attach(http.http)
  }

  static async start(options: NodeOptions): Promise<Node> {
    return new Node(options, await options.open(), await listen())
  }

  get session(): Session {
    return [...this.server.sessions.values()].at(-1) as Session
  }

  client(): FrameClient {
    const client = new FrameClient(this.port)
    this.#clients.push(client)
    return client
  }

  async end(): Promise<void> {
    for (const { socket } of this.#clients) socket.terminate()
    await this.server.close({ graceMs: 0 })
    await this.store.close()
    await this.opened.end()
    await this.#stopListening()
  }
}
