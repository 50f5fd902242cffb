// The bystander in a thread of his own: the attackers keep theirs busy.

import { parentPort, workerData } from 'node:worker_threads'
import { Bystander } from './bystander.ts'

let over = false
parentPort?.once('message', () => {
  over = true
})
const bystander = await new Bystander(workerData).ready()
parentPort?.postMessage('ready')
const served = await bystander.watch(() => over)
await bystander.end()
parentPort?.postMessage(served)
