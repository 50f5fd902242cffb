// node-redis as an engine: `createClient`, `createSentinel` and `createCluster`.

import { checkOption, objectWith } from '../../core/options.ts'
import { systemRandom } from '../../core/random.ts'
import type { RedisEngine } from '../RedisEngine.ts'
import { toArgument, toReply } from './replies.ts'
import { type Listening, type OpenListening, Subscriptions } from './Subscriptions.ts'

/** What is used of a client of node-redis 5 or 6, so that the package need not be there. */
export interface NodeRedisClient {
  // biome-ignore lint/suspicious/noExplicitAny: single, Sentinel and Cluster take different arguments
  sendCommand(...args: any[]): Promise<unknown>
  // biome-ignore lint/suspicious/noExplicitAny: as above
  duplicate(...overrides: any[]): unknown
  /** A cluster has both. */
  readonly masters?: readonly unknown[]
  // biome-ignore lint/suspicious/noExplicitAny: as above
  nodeClient?(node: any): unknown
  /** Sentinel has it. */
  getSentinelNode?(): unknown
}

interface NodeRedisListener {
  on(event: string, listener: (...args: never[]) => void): unknown
  connect(): Promise<unknown>
  subscribe(
    channel: string,
    listener: (message: Buffer, channel: Buffer) => void,
    bufferMode: true,
  ): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  ping?(): Promise<unknown>
  destroy(): unknown
}

/** Every kind of string as bytes; the numbers are RESP's own marks (`+`, `$`, `=`). */
const AS_BYTES = { typeMapping: { 43: Buffer, 36: Buffer, 61: Buffer } }

/**
 * An engine over a client of node-redis that has been connected: `createClient()`, `createSentinel()` or `createCluster()`.
 * The client stays yours; `close()` leaves it open. Channels get one more connection, made like it.
 * @throws TypeError when it is no such client
 */
export function fromNodeRedis(client: NodeRedisClient): RedisEngine {
  checkOption('fromNodeRedis', 'client', client, objectWith('sendCommand', 'duplicate'))
  const subscriptions = new Subscriptions(listenThrough(client))
  const isCluster = typeof client.nodeClient === 'function'
  const isSentinel = typeof client.getSentinelNode === 'function'
  return {
    async command(args, key) {
      const given = args.map(toArgument)
      if (isCluster) return toReply(await client.sendCommand(key, false, given, AS_BYTES))
      if (isSentinel) return toReply(await client.sendCommand(false, given, AS_BYTES))
      return toReply(await client.sendCommand(given, AS_BYTES))
    },
    subscribe: (channel, onMessage, onGap) => subscriptions.subscribe(channel, onMessage, onGap),
    async close() {
      subscriptions.close()
    },
  }
}

function listenThrough(client: NodeRedisClient): OpenListening {
  return (onMessage, onEnd): Listening => {
    let listener: NodeRedisListener | undefined
    let closed = false
    const close = () => {
      closed = true
      try {
        listener?.destroy()
      } catch {
        // It is closed already.
      }
    }
    const open = async () => {
      listener = await connectionLike(client)
      listener.on('error', (error: unknown) => onEnd(error))
      // It would come back by itself and keep quiet about what it has missed: opening anew is up to `Subscriptions`.
      listener.on('reconnecting', () => onEnd())
      if (closed) return
      await listener.connect()
      if (closed) close()
      // Sentinel's own; while it is being opened it tells of what it finds.
      listener.on('topology-change', ({ type }: { type: unknown }) => {
        if (type === 'MASTER_CHANGE') onEnd()
      })
    }
    return {
      ready: open(),
      subscribe: async (channel) =>
        listener?.subscribe(channel, (message) => onMessage(channel, message), true),
      unsubscribe: async (channel) => listener?.unsubscribe(channel),
      ping: async () => listener?.ping?.(),
      close,
    }
  }
}

/** Another connection like the client's. Channels of a cluster are heard on each of its nodes. */
async function connectionLike(client: NodeRedisClient): Promise<NodeRedisListener> {
  const { masters } = client
  if (!client.nodeClient || !masters) return client.duplicate() as NodeRedisListener
  const node = masters[Math.floor(systemRandom() * masters.length)]
  if (!node) throw new Error('the cluster client knows no node yet')
  return ((await client.nodeClient(node)) as NodeRedisClient).duplicate() as NodeRedisListener
}
