// A backend in a process of its own, to be stopped and killed while it answers. Options, as JSON: port; graceMs; stall, so
// that it says five words of each answer and no more; wordMs; store (a file), or redis (a port), for sessions to survive.
// It prints its port, and each question it is asked.

import { fromIoredis, redisSessionStore } from 'guru-comms/redis'
import { createBackend } from 'guru-comms/server'
import { sqliteSessionStore } from 'guru-comms/storage/sqlite'
import { Redis } from 'ioredis'

const { port = 0, graceMs = 0, stall = false, wordMs = 1, store: file, redis } = JSON.parse(process.argv[2])
const WORDS = 8
const SAID = 5
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const client = redis && new Redis({ port: redis, host: '127.0.0.1' })
const store = file
  ? sqliteSessionStore({ file, synchronous: 'normal' })
  : client && redisSessionStore({ engine: fromIoredis(client), lease: 2000 })

const backend = await createBackend({
  port,
  ...(store && { store }),
  responder: {
    async *respond({ id }, { signal }) {
      console.log(JSON.stringify({ asked: id }))
      for (let word = 1; word <= WORDS; word += 1) {
        if (stall && word > SAID) {
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          return
        }
        await rest(wordMs)
        yield `${id}:${word} `
      }
    },
  },
})
console.log(JSON.stringify({ port: backend.port }))

// As a line that breaks.
process.on('SIGUSR2', () => backend.cut())
process.once('SIGTERM', async () => {
  await backend.close({ graceMs })
  await store?.close()
  client?.disconnect()
  process.exit(0)
})
