// WebSocket: a line that comes back, and a queue for what is said meanwhile.

import { GuruConnection } from 'guru-comms/GuruConnection'
import { createBackend } from 'guru-comms/server'

let backend = await createBackend({ port: 0 })
const { port } = backend

const connection = new GuruConnection({
  url: `ws://127.0.0.1:${port}/ws`,
  reconnectDelay: 50,
  healthInterval: 100,
})
connection.on('connectionState', (state) => console.log('line:', state))
connection.on('reconnecting', ({ attempt, delay }) =>
  console.log(`attempt ${attempt} in ${delay} ms at the latest`),
)
connection.on('error', ({ code, message }) => console.log('error:', code, message))

await new Promise((resolve) => connection.once('open', resolve))

// The backend goes away; what is said now waits in the queue.
await backend.close()
connection.send({ role: 'user', type: 'message', content: 'Are you there?', id: 'q1', timestamp: Date.now() })
console.log('queued:', connection.getStats().queuedMessages)

// It comes back on the same port; the question is sent, and answered.
backend = await createBackend({ port })
let answer = ''
for await (const message of connection) {
  const { request_id, content, end } = message as { request_id?: string; content?: string; end?: boolean }
  if (request_id !== 'q1') continue
  answer += content ?? ''
  if (end) break
}
console.log('answer:', answer)

connection.dispose()
await backend.close()
