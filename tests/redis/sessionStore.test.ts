// The session store on real servers: what every store has to hold, on one and on a cluster.

import { afterAll, beforeAll, describe } from 'vitest'
import { redisSessionStore } from '../../src/redis/RedisSessionStore.ts'
import { ioredis, ioredisCluster, type OpenedEngine } from '../support/redisClients.ts'
import { canRunRedis, type RedisCluster, RedisServer, startCluster } from '../support/redisServers.ts'
import { describeSessionStore } from '../support/sessionStoreConformance.ts'

let places = 0
let open: OpenedEngine

/** A corner of its own on the engine. */
function makePlace() {
  places += 1
  const prefix = `place${places}:`
  return {
    open: () => redisSessionStore({ engine: open.engine, prefix }),
    remove: () => {},
  }
}

describe.skipIf(!canRunRedis('sessions on a Redis server'))('on one server', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
    open = ioredis({ port: server.port })
  })
  afterAll(async () => {
    await open.end()
    await server.stop()
  })
  describeSessionStore('RedisSessionStore', { makePlace, runs: 60 })
})

describe.skipIf(!canRunRedis('sessions on a Redis cluster'))('on a cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startCluster()
    open = ioredisCluster(cluster.nodes.map(({ port }) => port))
  })
  afterAll(async () => {
    await open.end()
    await cluster.stop()
  })
  describeSessionStore('RedisSessionStore', { makePlace, runs: 30 })
})
