// A session: messages arrive once and in order, whatever happens to the line; what outlives the process lies in a file.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GuruConnection } from 'guru-comms'
import { SessionServer } from 'guru-comms/server'
import { sqliteOutbox } from 'guru-comms/storage/sqlite'

const folder = mkdtempSync(join(tmpdir(), 'guru-session-'))

// A server that adds up.
let total = 0
const sessions = new SessionServer()
sessions.onSession((session) => {
  session.handle((message) => {
    total += (message as { add: number }).add
    session.send({ total })
  })
})
const server = createServer()
sessions.attach(server)
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const { port } = server.address() as AddressInfo

const connection = new GuruConnection({
  url: `ws://127.0.0.1:${port}/ws`,
  session: 'required',
  storage: sqliteOutbox({ file: join(folder, 'outbox.db') }),
  reconnectDelay: 50,
})
connection.handle((message, { id }) => console.log(message, id.split('/')[1]))

let last = connection.send({ add: 1 })
await last.delivered

// The line is cut again and again, while messages are sent.
for (let add = 2; add <= 10; add += 1) {
  last = connection.send({ add })
  await last.stored
  if (add % 3 === 0) sessions.cut()
}
await last.delivered
console.log('the sum of 1 to 10 is', total)

connection.dispose()
await sessions.close()
server.close()
rmSync(folder, { recursive: true })
