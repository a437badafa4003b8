// Reads what the dotenv store wrote with npm dotenv, and compares. Called by check.sh: FOLDER VERSION.
const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const dotenv = require('dotenv')

const [folder, version] = process.argv.slice(2)
const read = (file, ending) => fs.readFileSync(path.join(folder, file.replace(/\.[a-z]+$/, ending)), 'utf8')
const files = fs.readdirSync(folder)
const written = files.filter((file) => file.endsWith('.value'))
const random = files.filter((file) => file.endsWith('.node'))

for (const file of written) {
  const expected = read(file, '.value')
  const found = dotenv.parse(read(file, '.env'))
  assert.deepStrictEqual([found.K, found.K_NEW, found.Z], [expected, expected, 'kept'], file)
}
for (const file of random) {
  assert.deepStrictEqual({ ...dotenv.parse(read(file, '.env')) }, JSON.parse(read(file, '.node')), file)
}
assert(written.length > 90 && random.length > 100, 'nothing was compared')
console.log(`npm dotenv ${version}: ${written.length} written files and ${random.length} random ones are read alike`)
