// A tripwire for what comes in from outside.

import { InputValidator, type ValidationError } from 'guru-comms/security/InputValidator'

const validator = new InputValidator({
  onIssue: ({ field, rule }) => console.log(`noticed: ${rule} in ${field}`),
})

// A form, field by field and nested.
const order = { email: 'ada@example.com', amount: 3, note: 'Please ring twice.' }
validator.validateObject(order, {
  required: ['email', 'amount'],
  fields: {
    email: { type: 'email' },
    amount: { type: 'number', min: 1, max: 10, integer: true },
    note: { type: 'string', maxLength: 200, noXss: true, noSqlInjection: true },
  },
})
console.log('the order is fine')

// What is refused says why, for programs and for people, and never repeats the payload.
for (const text of [
  '<svg/onload=alert(1)>',
  "x' UNION SELECT password FROM users --",
  'I < 3 you, or 1 = 1 in a lesson',
]) {
  try {
    validator.validateString(text, { field: 'comment', noXss: true, noSqlInjection: true })
    console.log('passed')
  } catch (error) {
    console.log((error as ValidationError).rule, 'refused:', (error as ValidationError).message)
  }
}

console.log(validator.getStats())
