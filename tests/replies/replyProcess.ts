// A producer in a process of its own: writes numbered words into one reply of a file, until it is killed.

import { Replies } from 'guru-comms/server'
import { sqliteLogStore } from 'guru-comms/storage/sqlite'

const [file = '', id = '', words = '0'] = process.argv.slice(2)
const replies = new Replies({ store: sqliteLogStore({ file }), leaseMs: 1500 })
const writer = (await replies.takeOver(id)) ?? (await replies.start({ id }))
for (let word = 0; word < Number(words); word += 1) {
  await writer.write(`${word} `)
  if (word === 20) process.send?.('writing')
  await new Promise((resolve) => setTimeout(resolve, 2))
}
await writer.complete()
await replies.close()
