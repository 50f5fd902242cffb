// A server node for the section `nodes`: its sessions lie on an engine that others share.

import { fromIoredis, redisSessionStore } from 'guru-comms/redis'
import { Redis } from 'ioredis'
import { answer } from '../harness/child.ts'
import { manySessions } from '../servers/sessions.ts'

const client = new Redis({ host: '127.0.0.1', port: Number(process.env.ENGINE) })
const { sessions, calls } = manySessions(redisSessionStore({ engine: fromIoredis(client) }))

answer({
  ...calls,
  /** Sends one message to every session; how many there were. */
  push: ({ size }: { size: number }) => sessions.broadcast('x'.repeat(size)),
  /** Sends so many messages in one session, that its client does not acknowledge. */
  fill({ sid, count, size }: { sid: string; count: number; size: number }) {
    for (let sent = 0; sent < count; sent += 1) sessions.sessions.get(sid)?.send('x'.repeat(size))
  },
  queued: () => sessions.getStats().queuedBytes,
})
