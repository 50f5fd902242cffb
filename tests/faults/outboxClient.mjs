// A client with a durable outbox, to be killed: it sends `run:1`, `run:2` ..., says each that is recorded, and notes what it
// is sent in the outbox's own database, together with the fact that it was handled.

import { GuruConnection } from 'guru-comms'
import { sqliteOutbox } from 'guru-comms/storage/sqlite'

const [, , url, file, run] = process.argv

const connection = new GuruConnection({
  url,
  session: 'required',
  reconnectDelay: 5,
  storage: sqliteOutbox({ file }),
})
connection.on('error', (error) => {
  if (error.code === 'STORAGE') throw error
})
connection.handle(async (message, { id, record }) => {
  // Some are slow: they overlap, and are killed between their beginning and their end.
  if (Number(message) % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  record((database) => {
    database.exec('CREATE TABLE IF NOT EXISTS note (text TEXT, id TEXT)')
    database.prepare('INSERT INTO note VALUES (?, ?)').run(String(message), id)
  })
})

for (let n = 1; ; n += 1) {
  await connection.send(`${run}:${n}`).stored
  process.stdout.write(`${n}\n`)
  await new Promise((resolve) => setTimeout(resolve, 1))
}
