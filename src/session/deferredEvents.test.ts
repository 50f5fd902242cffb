import { expect, it } from 'vitest'
import { DeferredEvents } from './deferredEvents.ts'

const scheduled = () =>
  new DeferredEvents((run, again) => {
    if (again) setImmediate(run)
    else queueMicrotask(run)
  })

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

it('tells once the step is over, in order', async () => {
  const heard: string[] = []
  const events = scheduled()
  events.add(() => heard.push('first'))
  events.add(() => heard.push('second'))
  expect(heard).toEqual([])
  await undefined
  expect(heard).toEqual(['first', 'second'])
})

it('one that always has more to tell leaves every turn to others', async () => {
  const heard: number[] = []
  const events = scheduled()
  const tell = () => {
    heard.push(heard.length)
    if (heard.length < 1000) events.add(tell)
  }
  events.add(tell)
  await undefined
  expect(heard).toEqual([0])
  await turn()
  await turn()
  expect(heard.length).toBeLessThan(5)
  while (heard.length < 1000) await turn()
})

it('unscheduled, they wait until a step is over, and those that come about meanwhile are told with them', () => {
  const heard: string[] = []
  const events = new DeferredEvents()
  events.add(() => {
    heard.push('first')
    events.add(() => heard.push('third'))
    // A step within what a listener does ends, too.
    events.run()
  })
  events.add(() => heard.push('second'))
  expect(heard).toEqual([])
  events.run()
  events.run()
  expect(heard).toEqual(['first', 'second', 'third'])
})
