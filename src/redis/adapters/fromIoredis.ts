// ioredis as an engine: `new Redis(...)`, with or without Sentinel, and `new Redis.Cluster(...)`.

import { checkOption, objectWith } from '../../core/options.ts'
import { systemRandom } from '../../core/random.ts'
import type { RedisEngine } from '../RedisEngine.ts'
import { toArgument, toReply } from './replies.ts'
import { type Listening, type OpenListening, Subscriptions } from './Subscriptions.ts'

/** What is used of a connection of ioredis to one server. */
interface IoredisNode {
  // biome-ignore lint/suspicious/noExplicitAny: overloaded in ioredis, differently from one major to the next
  duplicate(...options: any[]): unknown
}

/** What is used of a client of ioredis 5 or 6, so that the package need not be there. */
export interface IoredisClient extends IoredisNode {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  callBuffer(...args: any[]): Promise<unknown>
  /** A cluster has them. */
  nodes?(role?: 'all' | 'master' | 'slave'): IoredisNode[]
}

/** What is used of a connection that listens. */
interface IoredisListener {
  on(event: string, listener: (...args: never[]) => void): unknown
  connect(): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  ping(): Promise<unknown>
  disconnect(): void
}

/**
 * An engine over a client of ioredis: a single server, Sentinel or a Cluster. The client stays yours: its options of
 * reconnection, TLS and `keyPrefix` apply; `close()` leaves it open. Channels get one more connection, made like it.
 * @throws TypeError when it is no such client
 */
export function fromIoredis(client: IoredisClient): RedisEngine {
  checkOption('fromIoredis', 'client', client, objectWith('callBuffer', 'duplicate'))
  const subscriptions = new Subscriptions(listenThrough(client))
  return {
    async command(args, _key) {
      // ioredis knows itself where the keys of a command stand.
      const [name = '', ...rest] = args.map(toArgument)
      return toReply(await client.callBuffer(String(name), ...rest))
    },
    subscribe: (channel, onMessage, onGap) => subscriptions.subscribe(channel, onMessage, onGap),
    async close() {
      subscriptions.close()
    },
  }
}

function listenThrough(client: IoredisClient): OpenListening {
  return (onMessage, onEnd): Listening => {
    // Channels of a cluster are heard on each of its nodes, and ioredis does not tell when it changes from one to another.
    const nodes = client.nodes?.('all')
    const node = nodes ? nodes[Math.floor(systemRandom() * nodes.length)] : client
    if (!node) return unready(new Error('the cluster client knows no node yet'))
    const listener = node.duplicate({
      autoResubscribe: false,
      // Opening it anew is up to `Subscriptions`, which then knows that something may have been missed.
      retryStrategy: null,
      lazyConnect: true,
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      // Scripts publish without it.
      keyPrefix: '',
    }) as IoredisListener
    let failure: unknown
    listener.on('error', (error: unknown) => {
      failure = error
    })
    listener.on('end', () => onEnd(failure))
    listener.on('messageBuffer', (channel: Buffer, message: Buffer) => onMessage(channel.toString(), message))
    return {
      ready: listener.connect(),
      subscribe: (channel) => listener.subscribe(channel),
      unsubscribe: (channel) => listener.unsubscribe(channel),
      ping: () => listener.ping(),
      close: () => listener.disconnect(),
    }
  }
}

/** A connection that cannot be opened now. */
export function unready(error: Error): Listening {
  const fail = () => Promise.reject(error)
  return { ready: fail(), subscribe: fail, unsubscribe: fail, close: () => {} }
}
