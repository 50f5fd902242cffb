// Every client that an engine can be made from, over one server, Sentinel or a cluster.

import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster, createSentinel } from 'redis'
import { fromGlide } from '../../src/redis/adapters/fromGlide.ts'
import { fromIoredis } from '../../src/redis/adapters/fromIoredis.ts'
import { fromNodeRedis } from '../../src/redis/adapters/fromNodeRedis.ts'
import type { RedisEngine } from '../../src/redis/RedisEngine.ts'

/** An engine and how to end its client. */
export interface OpenedEngine {
  readonly engine: RedisEngine
  end(): Promise<void>
}

/** Where a server is, and as whom to go there. */
export interface Address {
  readonly port: number
  readonly username?: string
  readonly password?: string
}

const host = '127.0.0.1'
const quietly = () => {}

export function ioredis(address: Address): OpenedEngine {
  const client = new Redis({ host, ...address, maxRetriesPerRequest: 1, retryStrategy: () => 50 })
  client.on('error', quietly)
  return opened(fromIoredis(client), () => client.disconnect())
}

export function ioredisCluster(ports: readonly number[]): OpenedEngine {
  const client = new Cluster(ports.map((port) => ({ host, port })))
  client.on('error', quietly)
  return opened(fromIoredis(client), () => client.disconnect())
}

export function ioredisSentinel(port: number): OpenedEngine {
  const client = new Redis({
    sentinels: [{ host, port }],
    name: 'main',
    maxRetriesPerRequest: 1,
    retryStrategy: () => 50,
  })
  client.on('error', quietly)
  return opened(fromIoredis(client), () => client.disconnect())
}

export async function nodeRedis({ port, ...credentials }: Address): Promise<OpenedEngine> {
  const client = createClient({ socket: { host, port, reconnectStrategy: 50 }, ...credentials })
  client.on('error', quietly)
  await client.connect()
  return opened(fromNodeRedis(client), () => client.destroy())
}

export async function nodeRedisCluster(ports: readonly number[]): Promise<OpenedEngine> {
  const client = createCluster({ rootNodes: ports.map((port) => ({ url: `redis://${host}:${port}` })) })
  client.on('error', quietly)
  await client.connect()
  return opened(fromNodeRedis(client), () => client.destroy())
}

export async function nodeRedisSentinel(port: number): Promise<OpenedEngine> {
  const client = createSentinel({ name: 'main', sentinelRootNodes: [{ host, port }], scanInterval: 500 })
  client.on('error', quietly)
  await client.connect()
  return opened(fromNodeRedis(client), () => client.destroy())
}

/** GLIDE is made of native code, that is not there for every machine. */
const glideThere = await import('@valkey/valkey-glide').catch(() => undefined)
if (!glideThere) console.warn('skipped: Valkey GLIDE (no build of it for this machine)')
export const canRunGlide = glideThere !== undefined

export async function glide({ port, username, password }: Address): Promise<OpenedEngine> {
  const { GlideClient, Logger } = glideThere as NonNullable<typeof glideThere>
  Logger.setLoggerConfig('off')
  const configuration = {
    addresses: [{ host, port }],
    requestTimeout: 5000,
    ...(password !== undefined && { credentials: { password, ...(username !== undefined && { username }) } }),
  }
  const client = await GlideClient.createClient(configuration)
  return opened(fromGlide(client, { listener: () => GlideClient.createClient(configuration) }), () =>
    client.close(),
  )
}

export async function glideCluster(ports: readonly number[]): Promise<OpenedEngine> {
  const { GlideClusterClient, Logger } = glideThere as NonNullable<typeof glideThere>
  Logger.setLoggerConfig('off')
  const configuration = { addresses: ports.map((port) => ({ host, port })) }
  const client = await GlideClusterClient.createClient(configuration)
  return opened(fromGlide(client, { listener: () => GlideClusterClient.createClient(configuration) }), () =>
    client.close(),
  )
}

function opened(engine: RedisEngine, endClient: () => unknown): OpenedEngine {
  return {
    engine,
    async end() {
      await engine.close()
      await endClient()
    },
  }
}
