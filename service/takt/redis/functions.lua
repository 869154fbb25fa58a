-- Takt's server-side functions. Policy lives elsewhere: here bytes are compared and appended.
--
-- A version's meaning and arguments never change: what changes gets a new version beside the old one, so that servers of
-- both can run at once. A correction that changes neither raises the revision, and the higher revision stays loaded.
-- revision: 10
--
-- Every function takes a batch of units. KEYS: a fixed number per unit. ARGV: time given instead of the server's (int64
-- microseconds, 0 = the server's) with the retention of ids (int64 microseconds); the marker; then one frame per unit.
-- It answers {time, answer per unit}. Numbers are little endian. A script's writes do not roll back, so for each unit
-- every read and check comes before the first write, and the one write that could still fail, XADD, comes first.

local WIDTH = 32 -- bytes of a ledger's header, and of an entry
-- while a library loads there is no global `string`
local EMPTY = ('\0'):rep(24) .. '\1' .. ('\0'):rep(7)
local NONE8, NONE6, NONE4 = ('\0'):rep(8), ('\0'):rep(6), ('\0'):rep(4)
local OPEN, SEALED, EXPECTING, MOVED = 0, 1, 2, 3 -- states of ledgers
local HELD, SHOWN, CLICKED, RELEASED, SUPPRESSION = 0, 1, 2, 3, 16 -- states of entries; suppressions from 16 on
local STATES, AFTERWARDS = 4, 8 -- a contact's state is what remains modulo STATES; late confirmations have 8 added
local SNAPSHOT_LIMIT_US = 60000000
local SNAPSHOT_LIMIT_MS = 60000
local PENDING_MS = 10000 -- a claim that was never settled lapses
local PENDING, SETTLED = '?', '=' -- first byte of an identity's value

-- Batches --------------------------------------------------------------------------------------------------------------

local function message(fault)
    return type(fault) == 'table' and fault.err or tostring(fault)
end

-- Runs a function on every unit. Where `corrupt` is given, a key of the wrong type stops its own unit; any other error
-- stops the call, and what earlier units wrote is found again by their ids.
local function each(keys, args, per_unit, unit, corrupt)
    local given, retention = struct.unpack('<i8i8', args[1])
    local now = given
    if given == 0 then
        local time = redis.call('TIME')
        now = time[1] * 1000000 + time[2]
    end
    local batch = {now = now, retention = retention, marker = args[2]}
    local answers = {now}
    for index = 3, #args do
        local ok, answer = pcall(unit, batch, keys, (index - 3) * per_unit, args[index])
        if not ok then
            if not corrupt or not string.find(message(answer), 'WRONGTYPE', 1, true) then
                error(answer)
            end
            answer = corrupt
        end
        answers[index - 1] = answer
    end
    return answers
end

-- Markers --------------------------------------------------------------------------------------------------------------

-- A partition's marker: the store's, which every call names, and behind it the number of the edition of the catalog that
-- is in force there; nothing where none was ever applied.
local function marker_of(batch, edition)
    return edition == 0 and batch.marker or string.format('%s %d', batch.marker, edition)
end

-- The edition in a marker that was read; nothing if it is missing or another store's.
local function edition_of(batch, found)
    if found == batch.marker then
        return 0
    end
    local size = #batch.marker
    if found and string.sub(found, 1, size) == batch.marker then
        return tonumber(string.match(found, '^ (%d+)$', size + 1))
    end
end

-- Ledgers --------------------------------------------------------------------------------------------------------------

local function sound(ledger)
    return #ledger >= WIDTH and #ledger % WIDTH == 0 and string.byte(ledger, 25) == 1
end

-- What follows the state: the second before which contacts that lapsed may be missing u4, and two bytes without meaning.
local function rest_of(ledger)
    return string.sub(ledger, 27, WIDTH)
end

-- The rest of a header in which no second is earlier than it was.
local function lapsing(rest, second)
    return second > struct.unpack('<I4', rest) and struct.pack('<I4c2', second, NONE4) or rest
end

local function header(gate, appends, trimmed_before, state, rest)
    return struct.pack('<i8i8i8BBc6', gate, appends, trimmed_before, 1, state, rest)
end

-- Writes a ledger. One without entries only warns those who have read before it, and none of them may commit later than
-- the limit: then it reads as never written. Unless it remembers that entries were dropped, or stands in a merge.
local function write(key, gate, appends, trimmed_before, state, rest, entries)
    local ledger = header(gate, appends, trimmed_before, state, rest) .. entries
    if entries == '' and trimmed_before == 0 and rest == NONE6 and state < EXPECTING then
        redis.call('SET', key, ledger, 'PX', SNAPSHOT_LIMIT_MS)
    else
        redis.call('SET', key, ledger) -- exact, where APPEND would over-allocate
    end
end

-- Bytes from which on a ledger is appended to in place, and only looked at as far as it has to be. What is read, put
-- together and written as a whole is copied and hashed several times, and goes to the append-only file and to replicas.
-- In place it may come to take twice its size, which is why the many short ones are written anew.
local LONG = 1024

local function tightened(gate, now)
    return math.max(gate + 1, now)
end

local function state_of(ledger)
    return string.byte(ledger, 26)
end

-- Whether the person was merged into another, without reading the whole ledger. What is no ledger says nothing.
local function has_moved(key)
    local state = redis.pcall('GETRANGE', key, 25, 25)
    if type(state) == 'table' and not string.find(message(state), 'WRONGTYPE', 1, true) then
        error(state)
    end
    return state == string.char(MOVED)
end

-- Moves the gate of a ledger that is sound.
local function tighten(key, ledger, now)
    local gate, appends, trimmed_before, _, state = struct.unpack('<i8i8i8BB', ledger)
    if #ledger == WIDTH then
        write(key, tightened(gate, now), appends, trimmed_before, state, rest_of(ledger), '')
    else
        redis.call('SETRANGE', key, 0, header(tightened(gate, now), appends, trimmed_before, state, rest_of(ledger)))
    end
end

-- Sets the state of a ledger that is sound, and moves its gate.
local function turn(key, ledger, state, now)
    local gate, appends, trimmed_before = struct.unpack('<i8i8i8', ledger)
    write(key, tightened(gate, now), appends, trimmed_before, state, rest_of(ledger), string.sub(ledger, WIDTH + 1))
end

-- Sets the state of a ledger that is sound and has no entries.
local function set_state(key, ledger, state)
    local gate, appends, trimmed_before = struct.unpack('<i8i8i8', ledger)
    write(key, gate, appends, trimmed_before, state, rest_of(ledger), '')
end

local function ended_before(ledger, start, moment) -- start counts from 1
    local time = struct.unpack('<i8', ledger, start)
    local expiry = struct.unpack('<I4', ledger, start + 16)
    if expiry == 0 and string.byte(ledger, start + 30) >= SUPPRESSION then
        return false
    end
    return time + expiry * 1000000 < moment
end

-- Whether an entry is a contact whose hold ended before a moment without a confirmation.
local function lapsed_before(entries, start, moment)
    local state = string.byte(entries, start + 30)
    return state < SUPPRESSION and (state % STATES == HELD or state % STATES == RELEASED)
        and ended_before(entries, start, moment)
end

-- Entries from a start on without those of which it holds that they may go at a moment.
local function without(may_go, entries, first, moment)
    local kept = {}
    for start = first, #entries, WIDTH do
        if not may_go(entries, start, moment) then
            kept[#kept + 1] = string.sub(entries, start, start + WIDTH - 1)
        end
    end
    return table.concat(kept)
end

-- Ids ------------------------------------------------------------------------------------------------------------------

-- Two generations: an id is found for at least the retention, and forgetting costs nothing.
local function generations(batch, base)
    local generation = math.floor(batch.now / batch.retention)
    -- not by format's %s, which ends a short string at its first zero byte
    return base .. string.format(':%d', generation), base .. string.format(':%d', generation - 1)
end

local function remember(batch, key, pairs_of_id)
    redis.call('HSET', key, unpack(pairs_of_id))
    if redis.call('PTTL', key) < 0 then
        redis.call('PEXPIRE', key, math.max(1, math.floor(batch.retention / 500))) -- two generations, in ms
    end
end

local function packed_log_id(id)
    local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
    return struct.pack('>I6I4', tonumber(ms), tonumber(sequence))
end

-- A log record by its id; of an id that came with a merged person, the record itself follows.
local INLINE = ('\0'):rep(10)

local function logged(log, packed)
    if #packed > #INLINE then
        return string.sub(packed, #INLINE + 1)
    end
    local ms, sequence = struct.unpack('>I6I4', packed)
    local id = string.format('%d-%d', ms, sequence)
    local found = redis.call('XRANGE', log, id, id)[1]
    return found and found[2][4] or false
end

-- Pools ----------------------------------------------------------------------------------------------------------------

-- A pool: allotted i8, spent i8, limit i8, end of its window i8 (0 = never); under its field c12. A hold that is open, or
-- whose token went back: field c12, decision c8, offer c4, placement c2, counted event c1; its score is a time.
local POOL = '<i8i8i8i8'
local DAY_US = 86400000000
local EVENTS = {'\1', '\2'} -- impression, click

local function pool_of(pools_key, field)
    local pool = redis.call('HGET', pools_key, field)
    if pool then
        return struct.unpack(POOL, pool)
    end
end

local function set_pool(pools_key, field, allotted, spent, limit, ends)
    redis.call('HSET', pools_key, field, struct.pack(POOL, allotted, spent, limit, ends))
end

-- Counts units in a pool, if there is one.
local function count(pools_key, field, units)
    local allotted, spent, limit, ends = pool_of(pools_key, field)
    if allotted then
        set_pool(pools_key, field, allotted, math.max(0, spent + units), limit, ends)
    end
end

-- What to write for the spends of a frame: pools and holds as arguments of HSET and ZADD. Nothing if a pool is missing,
-- in line with another limit, or has less left than is needed.
local function taken(pools_key, frame, spends, next)
    local pools, holds = {}, {}
    for _ = 1, spends do
        local field, limit, need, units, counts, open
        field, limit, need, units, counts, open, next = struct.unpack('<c12i8i8i8c1I4', frame, next)
        local allotted, spent, limit_now, ends = pool_of(pools_key, field)
        if not allotted or limit_now ~= limit or allotted - spent < need then
            return nil
        end
        if units > 0 then
            pools[#pools + 1] = field
            pools[#pools + 1] = struct.pack(POOL, allotted, spent + units, limit, ends)
        end
        for _ = 1, open do
            local expires, contact
            expires, contact, next = struct.unpack('<i8c14', frame, next)
            holds[#holds + 1] = string.format('%d', expires)
            holds[#holds + 1] = field .. contact .. counts
        end
    end
    return pools, holds
end

-- Settles the tokens of contacts that an event has changed: a confirmation spends them for good, a release gives them
-- back, and a confirmation after that counts them again, though the pool may be empty.
local function settled(pools_key, holds_key, returned_key, contacts, kind, now)
    if #contacts == 0 or redis.call('EXISTS', holds_key, returned_key) == 0 then
        return
    end
    for _, field in ipairs(redis.call('HKEYS', pools_key)) do
        for _, contact in ipairs(contacts) do
            for event, letter in ipairs(EVENTS) do
                local hold = field .. contact .. letter
                if kind == RELEASED then
                    if redis.call('ZREM', holds_key, hold) == 1 then
                        count(pools_key, field, -1)
                        redis.call('ZADD', returned_key, string.format('%d', now), hold)
                    end
                elseif kind >= event and redis.call('ZREM', holds_key, hold) == 0 then
                    if redis.call('ZREM', returned_key, hold) == 1 then
                        count(pools_key, field, 1)
                    end
                end
            end
        end
    end
end

-- Spends for good what the contacts of a ledger hold: their confirmations will go elsewhere.
local function spend_holds(pools_key, holds_key, ledger)
    if redis.call('EXISTS', holds_key) == 0 then
        return
    end
    local fields = redis.call('HKEYS', pools_key)
    for start = WIDTH + 1, #ledger, WIDTH do
        if string.byte(ledger, start + 30) < SUPPRESSION then
            local contact = string.sub(ledger, start + 8, start + 15)
                .. string.sub(ledger, start + 20, start + 23)
                .. string.sub(ledger, start + 28, start + 29)
            for _, field in ipairs(fields) do
                for _, letter in ipairs(EVENTS) do
                    redis.call('ZREM', holds_key, field .. contact .. letter)
                end
            end
        end
    end
end

-- Commit ---------------------------------------------------------------------------------------------------------------

local DONE, KNOWN, CONFLICT, STALE, MARKER, LEDGER_FULL, CORRUPT, CATALOG = 0, 1, 2, 3, 4, 5, 6, 7

-- keys: marker, log, profile, ledger, ids, pools, holds
-- frame: compare u8, gate i8, appends i8, slack i8, snapshot i8, max_age i8, max_entries u4, trim_before i8, edition u4,
--        count u4;
--        per entry: id c16, digest c16, contacts u4 + bytes, record u4 + bytes; then spends u2;
--        per spend: field c12, limit i8, need i8, units i8, counts c1, holds u4;
--        per hold: expiry i8, decision, offer and placement c14
-- answer: a code, or {code, profile, ledger, pools, then per known id: id, digest, record}
local function commit(batch, keys, at, frame, lapsed)
    local marker_key, log, profile_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local ledger_key, ids_key, pools_key, holds_key = keys[at + 4], keys[at + 5], keys[at + 6], keys[at + 7]
    local compare, gate, appends, slack, snapshot, max_age, max_entries, trim_before, edition, count, next =
        struct.unpack('<Bi8i8i8i8i8I4i8I4I4', frame)
    local ids, digests, records, contacts = {}, {}, {}, {}
    for i = 1, count do
        ids[i], digests[i], contacts[i], records[i], next = struct.unpack('<c16c16I4c0I4c0', frame, next)
    end
    local new = table.concat(contacts)
    local spends
    spends, next = struct.unpack('<I2', frame, next)

    local function fresh(code)
        local pools = spends > 0 and redis.call('HGETALL', pools_key) or {}
        return {code, redis.call('GET', profile_key), redis.call('GET', ledger_key) or EMPTY, pools}
    end

    local current, previous = generations(batch, ids_key)
    local in_current = redis.call('HMGET', current, unpack(ids))
    local in_previous = redis.call('HMGET', previous, unpack(ids))
    local known
    for i = 1, count do
        local found = in_current[i] or in_previous[i]
        if found then
            known = known or fresh(KNOWN)
            known[#known + 1] = ids[i]
            known[#known + 1] = string.sub(found, 1, 16)
            known[#known + 1] = logged(log, string.sub(found, 17))
        end
    end
    if known then
        return known
    end
    if batch.edition ~= edition then
        batch.edition, batch.expected = edition, marker_of(batch, edition)
    end
    local marker, behind = redis.call('GET', marker_key), false
    if marker ~= batch.expected then
        local in_force = edition_of(batch, marker)
        if not in_force then
            return MARKER
        elseif in_force > edition then
            return CATALOG
        end
        behind = true -- whoever is ahead of a partition brings it along
    end
    if batch.now > snapshot + math.min(max_age, SNAPSHOT_LIMIT_US) then
        return fresh(STALE)
    end
    local write_contacts
    if compare == 1 or new ~= '' then
        local size = redis.call('STRLEN', ledger_key)
        local long = size >= LONG
        local ledger -- of a long one its header
        if long then
            ledger = redis.call('GETRANGE', ledger_key, 0, WIDTH - 1)
        else
            ledger = redis.call('GET', ledger_key) or EMPTY
            size = #ledger
        end
        if size % WIDTH ~= 0 or not sound(ledger) then
            return CORRUPT
        end
        local gate_now, appends_now, trimmed_before, _, state = struct.unpack('<i8i8i8BB', ledger)
        if state ~= OPEN then
            return fresh(CONFLICT)
        end
        local appended = appends_now - appends
        if compare == 1 and (gate_now ~= gate or appended < 0 or appended > slack) then
            return fresh(CONFLICT)
        end
        if new ~= '' then
            local rest = rest_of(ledger)
            local fits = size + #new <= (max_entries + 1) * WIDTH
            local eighth = WIDTH * (1 + math.floor((size / WIDTH - 1) / 8)) -- where the entry begins that is an eighth in
            local due = size > WIDTH and (
                long and ended_before(redis.call('GETRANGE', ledger_key, eighth, eighth + WIDTH - 1), 1, trim_before)
                or not long and ended_before(ledger, eighth + 1, trim_before)
            )
            if fits and not due then
                write_contacts = function()
                    local head = header(gate_now, appends_now + #new / WIDTH, trimmed_before, state, rest)
                    if long then
                        redis.call('APPEND', ledger_key, new)
                        redis.call('SETRANGE', ledger_key, 0, head)
                    else
                        redis.call('SET', ledger_key, head .. string.sub(ledger, WIDTH + 1) .. new)
                    end
                end
            else
                ledger = long and redis.call('GET', ledger_key) or ledger
                local entries = without(ended_before, ledger, WIDTH + 1, trim_before)
                if #entries < #ledger - WIDTH then
                    trimmed_before = math.max(trimmed_before, trim_before)
                end
                if lapsed and #entries + #new > max_entries * WIDTH then
                    local kept = without(lapsed_before, entries, 1, lapsed)
                    if #kept < #entries then
                        entries, rest = kept, lapsing(rest, math.ceil(lapsed / 1000000))
                    end
                end
                if #entries + #new > max_entries * WIDTH then
                    return LEDGER_FULL
                end
                write_contacts = function()
                    write(ledger_key, gate_now, appends_now + #new / WIDTH, trimmed_before, state, rest, entries .. new)
                end
            end
        end
    elseif has_moved(ledger_key) then
        return fresh(CONFLICT) -- the id has to be remembered where it will be looked for
    end
    local pools, holds
    if spends > 0 then
        pools, holds = taken(pools_key, frame, spends, next)
        if not pools then
            return fresh(CONFLICT)
        end
    end

    local remembered = {}
    for i = 1, count do
        local id = redis.call('XADD', log, '*', 't', 'd', 'r', records[i])
        remembered[2 * i - 1] = ids[i]
        remembered[2 * i] = digests[i] .. packed_log_id(id)
    end
    remember(batch, current, remembered)
    if behind then
        redis.call('SET', marker_key, batch.expected)
    end
    if write_contacts then
        write_contacts()
    end
    if pools and #pools > 0 then
        redis.call('HSET', pools_key, unpack(pools))
    end
    if holds and #holds > 0 then
        redis.call('ZADD', holds_key, unpack(holds))
    end
    return DONE
end

-- keys: those of a commit
-- frame: that of a commit, then the moment before which contacts that lapsed may go where there is no room otherwise i8
-- answer: that of a commit
local function commit_compacting(batch, keys, at, frame)
    return commit(batch, keys, at, frame, (struct.unpack('<i8', frame, #frame - 7)))
end

-- Restore --------------------------------------------------------------------------------------------------------------

local PARTLY = 8 -- and DONE, KNOWN, CONFLICT, MARKER, CORRUPT

-- Puts back a commit that was acknowledged, by another server, and that this one may have forgotten. It has happened, so
-- that nothing is compared; who has read the ledger without it must decide anew.
-- keys: those of a commit
-- frame: spends u2; per spend: end of the window i8 (-1: not known); then the frame of a commit
-- answer: DONE, or PARTLY if tokens could not be counted because their pool was forgotten and nobody knows its window; KNOWN
--         where nothing was forgotten; CONFLICT where the person was merged meanwhile
local function restore(batch, keys, at, frame)
    local marker_key, log = keys[at + 1], keys[at + 2]
    local ledger_key, ids_key, pools_key, holds_key = keys[at + 4], keys[at + 5], keys[at + 6], keys[at + 7]
    local windows, next = struct.unpack('<I2', frame)
    local ends = {}
    for i = 1, windows do
        ends[i], next = struct.unpack('<i8', frame, next)
    end
    local entries, _
    _, _, _, _, _, _, _, _, _, entries, next = struct.unpack('<Bi8i8i8i8i8I4i8I4I4', frame, next)
    local ids, digests, records, contacts = {}, {}, {}, {}
    for i = 1, entries do
        ids[i], digests[i], contacts[i], records[i], next = struct.unpack('<c16c16I4c0I4c0', frame, next)
    end
    local new = table.concat(contacts)
    local spends
    spends, next = struct.unpack('<I2', frame, next)

    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local current, previous = generations(batch, ids_key)
    for i = 1, entries do
        if redis.call('HEXISTS', current, ids[i]) == 1 or redis.call('HEXISTS', previous, ids[i]) == 1 then
            return KNOWN -- all of a commit is written in one step
        end
    end
    local ledger = redis.call('GET', ledger_key) or EMPTY
    if not sound(ledger) then
        return CORRUPT
    end
    local gate, appends, trimmed_before, _, state = struct.unpack('<i8i8i8BB', ledger)
    if state ~= OPEN then
        return CONFLICT
    end

    local remembered, outcome = {}, DONE
    for i = 1, entries do
        local id = redis.call('XADD', log, '*', 't', 'd', 'r', records[i])
        remembered[2 * i - 1] = ids[i]
        remembered[2 * i] = digests[i] .. packed_log_id(id)
    end
    remember(batch, current, remembered)
    if new ~= '' then
        write(ledger_key, tightened(gate, batch.now), appends + #new / WIDTH, trimmed_before, state, rest_of(ledger),
            string.sub(ledger, WIDTH + 1) .. new)
    end
    for i = 1, spends do
        local field, limit, units, counts, open
        field, limit, _, units, counts, open, next = struct.unpack('<c12i8i8i8c1I4', frame, next)
        local there = pool_of(pools_key, field)
        if not there and ends[i] >= 0 then
            set_pool(pools_key, field, 0, 0, limit, ends[i]) -- in debt by what it has spent, until others pay
            there = true
        end
        if there then
            count(pools_key, field, units)
        elseif units > 0 then
            outcome = PARTLY
        end
        for _ = 1, open do
            local expires, contact
            expires, contact, next = struct.unpack('<i8c14', frame, next)
            if there then
                redis.call('ZADD', holds_key, string.format('%d', expires), field .. contact .. counts)
            end
        end
    end
    return outcome
end

-- Mark -----------------------------------------------------------------------------------------------------------------

local APPLIED, LATE, DUPLICATE, ORPHAN, MERGING = 0, 1, 2, 3, 5 -- and MARKER
local LETTERS = {[APPLIED] = 'A', [LATE] = 'L', [ORPHAN] = 'O'}

-- State of a contact after an event: forward only, a click over an impression over a hold.
local function next_state(state, kind)
    if kind == CLICKED then
        return CLICKED
    elseif kind == SHOWN then
        return state == CLICKED and CLICKED or SHOWN
    elseif kind == RELEASED and state == HELD then
        return RELEASED
    end
    return state
end

-- Contacts of a decision: whether there are any, whether one that no longer counted was confirmed, what to write where
-- ({offset from 0, byte}), and which contacts change (decision, offer, placement).
local function marked(ledger, decision, offer, kind, now)
    local found, late, changes, contacts = false, false, {}, {}
    local from = WIDTH + 1
    while true do
        local hit = string.find(ledger, decision, from, true)
        if not hit then
            return found, late, changes, contacts
        end
        from = hit + 1
        local start = hit - 8 -- of the entry, if this is its decision
        if (start - 1) % WIDTH == 0 then
            from = hit + WIDTH
            local state = string.byte(ledger, start + 30)
            if state < SUPPRESSION and (offer == NONE4 or string.sub(ledger, start + 20, start + 23) == offer) then
                found = true
                local before = state % STATES
                local after = next_state(before, kind) + state - before
                if after ~= state then
                    local time, expiry = struct.unpack('<i8', ledger, start), struct.unpack('<I4', ledger, start + 16)
                    local lapsed = before == RELEASED or (expiry > 0 and time + expiry * 1000000 <= now)
                    if lapsed and kind ~= RELEASED then
                        late = true
                        after = after % AFTERWARDS + AFTERWARDS
                    end
                    changes[#changes + 1] = {start + 29, string.char(after)}
                    contacts[#contacts + 1] = decision
                        .. string.sub(ledger, start + 20, start + 23)
                        .. string.sub(ledger, start + 28, start + 29)
                end
            end
        end
    end
end

-- Where the same suppression stands already (from 1), and whether it ends before the new one does.
local function standing(ledger, suppression)
    local same = string.sub(suppression, 21, 31)
    for start = WIDTH + 1, #ledger, WIDTH do
        if string.sub(ledger, start + 20, start + 30) == same then
            local time, expiry = struct.unpack('<i8', ledger, start), struct.unpack('<I4', ledger, start + 16)
            local new_time, new_expiry = struct.unpack('<i8', suppression), struct.unpack('<I4', suppression, 17)
            if expiry == 0 then
                return start, false
            end
            return start, new_expiry == 0 or new_time + new_expiry * 1000000 > time + expiry * 1000000
        end
    end
end

-- keys: marker, log, ledger, ids, pools, holds, holds whose token went back
-- frame: id c16, kind u8, decision c8, offer c4, suppression u4 + bytes, record u4 + bytes
-- answer: a code
local function mark(batch, keys, at, frame)
    local marker_key, log, ledger_key, ids_key = keys[at + 1], keys[at + 2], keys[at + 3], keys[at + 4]
    local id, kind, decision, offer, suppression, record = struct.unpack('<c16Bc8c4I4c0I4c0', frame)

    local current, previous = generations(batch, ids_key)
    if redis.call('HEXISTS', current, id) == 1 or redis.call('HEXISTS', previous, id) == 1 then
        return DUPLICATE
    end
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local ledger = redis.pcall('GET', ledger_key) or EMPTY
    local usable = type(ledger) == 'string' and sound(ledger)
    if usable and state_of(ledger) >= EXPECTING then
        return MERGING
    end
    local found, late, changes, contacts = false, false, {}, {}
    if usable and decision ~= NONE8 then
        found, late, changes, contacts = marked(ledger, decision, offer, kind, batch.now)
    end
    local outcome = ORPHAN
    if late then
        outcome = LATE
    elseif found or (decision == NONE8 and kind == 0 and usable) then
        outcome = APPLIED
    end

    redis.call('XADD', log, '*', 't', 'f', 'r', record, 'o', LETTERS[outcome])
    remember(batch, current, {id, ''})
    if not usable then
        return outcome
    end
    local tightens, appended = late, 0
    for from = 1, #suppression, WIDTH do
        local new = string.sub(suppression, from, from + WIDTH - 1)
        local start, renew = standing(ledger, new)
        if not start then
            ledger, appended = ledger .. new, appended + 1
        elseif renew then
            ledger = string.sub(ledger, 1, start - 1) .. new .. string.sub(ledger, start + WIDTH)
            changes[#changes + 1] = {start - 1, new}
        end
        tightens = tightens or not start or renew
    end
    local gate, appends, trimmed_before, _, state = struct.unpack('<i8i8i8BB', ledger)
    if tightens then
        gate = tightened(gate, batch.now)
    end
    if appended > 0 then
        write(ledger_key, gate, appends + appended, trimmed_before, state, rest_of(ledger),
            string.sub(ledger, WIDTH + 1))
    elseif tightens then
        redis.call('SETRANGE', ledger_key, 0, header(gate, appends, trimmed_before, state, rest_of(ledger)))
    end
    for _, change in ipairs(changes) do
        redis.call('SETRANGE', ledger_key, change[1], change[2])
    end
    settled(keys[at + 5], keys[at + 6], keys[at + 7], contacts, kind, batch.now)
    return outcome
end

-- Put ------------------------------------------------------------------------------------------------------------------

local WRITTEN, CHANGED, MERGED = 0, 1, 2 -- and MARKER

-- keys: marker, profile, ledger
-- frame: tightens u8, expects u8, expected record u4 + bytes (none: there is no record), record
-- answer: a code
local function put(batch, keys, at, frame, also)
    local marker_key, profile_key, ledger_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local tightens, expects, expected, record = struct.unpack('<BBI4c0', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    if has_moved(ledger_key) then
        return MERGED
    end
    if expects == 1 and (redis.call('GET', profile_key) or '') ~= expected then
        return CHANGED
    end
    local ledger
    if tightens == 1 then
        ledger = redis.pcall('GET', ledger_key) or EMPTY
    end
    if also then
        also()
    end
    redis.call('SET', profile_key, string.sub(frame, record))
    if type(ledger) == 'string' and sound(ledger) then
        tighten(ledger_key, ledger, batch.now)
    end
    return WRITTEN
end

-- Consents are kept beside the record, with when and where they were given: no decision reads them. What changed of them
-- is logged in the same step.

-- What to do once nothing can refuse it: log changes (u2 times u4 + bytes) and write consents (u8 whether, u4 + bytes).
-- Answers that, and the rest of the frame.
local function consenting(log, consents_key, frame)
    local writes, consents, count, next = struct.unpack('<BI4c0I2', frame)
    local changes = {}
    for i = 1, count do
        changes[i], next = struct.unpack('<I4c0', frame, next)
    end
    return function()
        for _, change in ipairs(changes) do
            redis.call('XADD', log, '*', 't', 'n', 'r', change)
        end
        if writes == 1 then
            redis.call('SET', consents_key, consents)
        end
    end, string.sub(frame, next)
end

-- keys: those of a put, log, consents
-- frame: what to do about consents, then that of a put
-- answer: a code
local function put_with_consents(batch, keys, at, frame)
    local also, rest = consenting(keys[at + 4], keys[at + 5], frame)
    return put(batch, keys, at, rest, also)
end

-- Rewrite --------------------------------------------------------------------------------------------------------------

local CLOSED = 2 -- and DONE, CHANGED, MARKER, CORRUPT

-- keys: marker, log, ledger, pools, holds, holds whose token went back
-- frame: new entries u4; lengths of the ledger as it was read, of all entries, of dropped ones u4 u4 u4; these; record
-- answer: a code
local function rewrite(batch, keys, at, frame, lapsed)
    local marker_key, log, ledger_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local appended, read_length, entries_length, dropped_length, from = struct.unpack('<I4I4I4I4', frame)
    local read = string.sub(frame, from, from + read_length - 1)
    from = from + read_length
    local entries = string.sub(frame, from, from + entries_length - 1)
    from = from + entries_length
    local dropped = string.sub(frame, from, from + dropped_length - 1)
    local record = string.sub(frame, from + dropped_length)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local ledger = redis.call('GET', ledger_key) or EMPTY
    if not sound(ledger) then
        return CORRUPT
    end
    if state_of(ledger) ~= OPEN then
        return CLOSED
    end
    if ledger ~= read then
        return CHANGED
    end
    local contacts = {}
    for start = 1, #dropped, WIDTH do
        contacts[#contacts + 1] = string.sub(dropped, start + 8, start + 15)
            .. string.sub(dropped, start + 20, start + 23)
            .. string.sub(dropped, start + 28, start + 29)
    end
    redis.call('XADD', log, '*', 't', 'c', 'r', record)
    local gate, appends, trimmed_before = struct.unpack('<i8i8i8', ledger)
    write(ledger_key, tightened(gate, batch.now), appends + appended, trimmed_before, OPEN,
        lapsing(rest_of(ledger), lapsed or 0), entries)
    settled(keys[at + 4], keys[at + 5], keys[at + 6], contacts, CLICKED, batch.now)
    return DONE
end

-- keys: those of a rewrite
-- frame: the second before which contacts that lapsed are dropped u4 (0: none is), then that of a rewrite
-- answer: a code
local function rewrite_compacting(batch, keys, at, frame)
    return rewrite(batch, keys, at, string.sub(frame, 5), (struct.unpack('<I4', frame)))
end

-- An identity is claimed before its profile is written and settled after: what crashes in between lapses, and no
-- identity ever names a profile that was refused. From claim on, its anonymous ledger is sealed.

local CLAIMED, OWN, TAKEN, HAS_CONTACTS = 0, 1, 2, 3 -- and MARKER

-- keys: marker, identity, ledger and merges of the identity's anonymous profile
-- frame: the profile is that anonymous profile u8, profile id
-- answer: a code
local function claim(batch, keys, at, frame)
    local marker_key, identity_key = keys[at + 1], keys[at + 2]
    local ledger_key, merges_key = keys[at + 3], keys[at + 4]
    local anonymous, profile = string.byte(frame, 1) == 1, string.sub(frame, 2)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local owner = redis.call('GET', identity_key)
    if owner == SETTLED .. profile then
        return OWN
    end
    if owner and owner ~= PENDING .. profile then
        return TAKEN
    end
    if not anonymous then
        local ledger = redis.pcall('GET', ledger_key) or EMPTY
        if type(ledger) ~= 'string' or #ledger ~= WIDTH or not sound(ledger) then
            return HAS_CONTACTS
        end
        if redis.call('EXISTS', merges_key) == 1 then
            return state_of(ledger) == MOVED and TAKEN or HAS_CONTACTS
        end
        set_state(ledger_key, ledger, SEALED)
    end
    redis.call('SET', identity_key, PENDING .. profile, 'PX', PENDING_MS)
    return CLAIMED
end

-- keys: marker, identity, ledger and merges of the identity's anonymous profile
-- frame: keep u8, the profile is that anonymous profile u8, profile id
-- answer: a code
local function settle(batch, keys, at, frame)
    local identity_key, ledger_key = keys[at + 2], keys[at + 3]
    local keep, anonymous, profile = string.byte(frame, 1) == 1, string.byte(frame, 2) == 1, string.sub(frame, 3)
    local owner = redis.call('GET', identity_key)
    local ledger = not anonymous and redis.pcall('GET', ledger_key) or EMPTY
    local sealable = not anonymous and type(ledger) == 'string' and #ledger == WIDTH and sound(ledger)
        and state_of(ledger) < EXPECTING
    if keep then
        if owner and owner ~= PENDING .. profile then
            return owner == SETTLED .. profile and OWN or TAKEN
        end
        redis.call('SET', identity_key, SETTLED .. profile)
        if sealable then
            set_state(ledger_key, ledger, SEALED) -- for as long again as anyone may commit who has read before
        end
    elseif owner == PENDING .. profile then
        redis.call('DEL', identity_key)
        if sealable then
            set_state(ledger_key, ledger, OPEN)
        end
    end
    return CLAIMED
end

-- Totals ---------------------------------------------------------------------------------------------------------------

-- Tokens move between partitions by counting what ever went which way: the giver's count is the truth, and the receiver
-- takes in the difference to its own. So a transfer can be taken in by anybody, at any time, and any number of times.
-- given: target u2, field c12 to i8; received: origin u2, field c12 to i8.

local function way_of(partition, field)
    return struct.pack('<I2', partition) .. field
end

local function amount_of(key, way)
    local amount = redis.call('HGET', key, way)
    return amount and struct.unpack('<i8', amount) or 0
end

-- Takes tokens out of a pool towards a partition; gives all that ever went there.
local function send(pools_key, given_key, field, target, units)
    local allotted, spent, limit, ends = pool_of(pools_key, field)
    local way = way_of(target, field)
    local amount = amount_of(given_key, way)
    if units > 0 then
        amount = amount + units
        redis.call('HSET', given_key, way, struct.pack('<i8', amount))
        set_pool(pools_key, field, allotted - units, spent, limit, ends)
    end
    return amount
end

-- keys: marker, pools, given
-- frame: field c12, limit i8, end i8, home u2, whether this is the home u8
-- answer: a code, or {all that ever went home}
local function allot(batch, keys, at, frame)
    local marker_key, pools_key, given_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local field, limit, ends, home, is_home = struct.unpack('<c12i8i8I2B', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local allotted, spent, limit_now = pool_of(pools_key, field)
    if is_home == 1 then
        if not allotted then
            set_pool(pools_key, field, limit, 0, limit, ends)
        elseif limit_now ~= limit then
            set_pool(pools_key, field, allotted + limit - limit_now, spent, limit, ends)
        end
        return {0}
    end
    if not allotted or limit_now == limit then
        return {amount_of(given_key, way_of(home, field))}
    end
    set_pool(pools_key, field, allotted, spent, limit, ends)
    return {send(pools_key, given_key, field, home, math.max(0, allotted - spent))}
end

-- keys: marker, pools, given
-- frame: field c12, target u2, units i8, limit i8
-- answer: a code, or {all that ever went to the target}
local function give(batch, keys, at, frame)
    local marker_key, pools_key, given_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local field, target, units, limit = struct.unpack('<c12I2i8i8', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local allotted, spent, limit_now = pool_of(pools_key, field)
    if not allotted or limit_now ~= limit then
        return {amount_of(given_key, way_of(target, field))}
    end
    return {send(pools_key, given_key, field, target, math.min(units, math.max(0, allotted - spent)))}
end

-- keys: marker, pools, received
-- frame: field c12, origin u2, all that ever went i8, limit i8, end i8
-- answer: a code, or {tokens that came in}
local function receive(batch, keys, at, frame)
    local marker_key, pools_key, received_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local field, origin, amount, limit, ends = struct.unpack('<c12I2i8i8i8', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local way = way_of(origin, field)
    local units = amount - amount_of(received_key, way)
    if units <= 0 then
        return {0}
    end
    local allotted, spent, limit_now, ends_now = pool_of(pools_key, field)
    redis.call('HSET', received_key, way, struct.pack('<i8', amount))
    if allotted then
        set_pool(pools_key, field, allotted + units, spent, limit_now, ends_now)
    else
        set_pool(pools_key, field, units, 0, limit, ends)
    end
    return {units}
end

-- keys: marker, pools, given, received, holds, holds whose token went back
-- frame: most holds u4
-- answer: a code, or {tokens that went back}
local function sweep(batch, keys, at, frame)
    local marker_key, pools_key, given_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local received_key, holds_key, returned_key = keys[at + 4], keys[at + 5], keys[at + 6]
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local now, long_ago = string.format('%d', batch.now), batch.now - 2 * DAY_US
    local most = struct.unpack('<I4', frame)
    local expired = redis.call('ZRANGEBYSCORE', holds_key, '-inf', now, 'LIMIT', 0, most)
    for _, hold in ipairs(expired) do
        redis.call('ZREM', holds_key, hold)
        redis.call('ZADD', returned_key, now, hold)
        count(pools_key, string.sub(hold, 1, 12), -1)
    end
    redis.call('ZREMRANGEBYSCORE', returned_key, '-inf', string.format('(%d', long_ago))
    local pools = redis.call('HGETALL', pools_key)
    for i = 1, #pools, 2 do
        local _, _, _, ends = struct.unpack(POOL, pools[i + 1])
        if ends > 0 and ends < long_ago then
            redis.call('HDEL', pools_key, pools[i])
            for _, ways_key in ipairs({given_key, received_key}) do
                for _, way in ipairs(redis.call('HKEYS', ways_key)) do
                    if string.sub(way, 3) == pools[i] then
                        redis.call('HDEL', ways_key, way)
                    end
                end
            end
        end
    end
    return {#expired}
end

-- Merges ---------------------------------------------------------------------------------------------------------------

-- A person in a merge, or after one, has a card: own id, whom they lead to, whom they are about to absorb and whom they
-- have. Steps: the winner expects the loser; the loser is sealed; the winner absorbs what it leaves; the loser is closed.
-- Invariants: who leads to a winner is pending there or absorbed; who is pending anywhere cannot be sealed; an absorbed
-- loser is never absorbed again. A card is kept for good.

local ABSORBED, BUSY, ELSEWHERE, DIFFERS = 1, 2, 3, 5 -- and DONE, MARKER, CORRUPT

-- card: closed u8, own id and whom it leads to as u2 + bytes, pending and absorbed each as u4 times u2 + bytes
local function read_card(key)
    local card = {closed = 0, own = '', leads_to = '', pending = {}, absorbed = {}}
    local data = redis.call('GET', key)
    if data then
        local next, count
        card.closed, card.own, card.leads_to, next = struct.unpack('<BI2c0I2c0', data)
        for _, list in ipairs({card.pending, card.absorbed}) do
            count, next = struct.unpack('<I4', data, next)
            for i = 1, count do
                list[i], next = struct.unpack('<I2c0', data, next)
            end
        end
    end
    return card
end

local function write_card(key, card)
    local parts = {struct.pack('<BI2c0I2c0', card.closed, #card.own, card.own, #card.leads_to, card.leads_to)}
    for _, list in ipairs({card.pending, card.absorbed}) do
        parts[#parts + 1] = struct.pack('<I4', #list)
        for _, id in ipairs(list) do
            parts[#parts + 1] = struct.pack('<I2c0', #id, id)
        end
    end
    redis.call('SET', key, table.concat(parts))
end

local function place(list, wanted)
    for i, id in ipairs(list) do
        if id == wanted then
            return i
        end
    end
end

-- keys: marker, ledger, merges of the winner
-- frame: winner u2 + bytes, loser u2 + bytes
-- answer: a code
local function expect(batch, keys, at, frame)
    local marker_key, ledger_key, merges_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local winner, loser = struct.unpack('<I2c0I2c0', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local card = read_card(merges_key)
    if card.leads_to ~= '' then
        return ELSEWHERE
    elseif place(card.absorbed, loser) then
        return ABSORBED
    elseif place(card.pending, loser) then
        return DONE
    end
    local ledger = redis.call('GET', ledger_key) or EMPTY
    if not sound(ledger) then
        return CORRUPT
    elseif state_of(ledger) == SEALED then
        return BUSY
    end
    turn(ledger_key, ledger, EXPECTING, batch.now)
    card.own = winner
    card.pending[#card.pending + 1] = loser
    write_card(merges_key, card)
    return DONE
end

-- All ids of a person that are remembered, each with what is remembered of it, records included.
local function all_ids(batch, base, log, answer)
    local current, previous = generations(batch, base)
    local seen = {}
    for _, key in ipairs({current, previous}) do
        local flat = redis.call('HGETALL', key)
        for i = 1, #flat, 2 do
            local id, value = flat[i], flat[i + 1]
            if not seen[id] then
                seen[id] = true
                if value ~= '' then
                    value = string.sub(value, 1, 16) .. INLINE .. (logged(log, string.sub(value, 17)) or '')
                end
                answer[#answer + 1] = id
                answer[#answer + 1] = value
            end
        end
    end
end

-- keys: marker, log, profile, ledger, ids, merges of the loser, pools, holds
-- frame: loser u2 + bytes, winner u2 + bytes
-- answer: a code, or {DONE, profile, ledger, number of absorbed, these, then per id: id, what is remembered}
local function seal(batch, keys, at, frame)
    local marker_key, log, profile_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local ledger_key, ids_key, merges_key = keys[at + 4], keys[at + 5], keys[at + 6]
    local loser, winner = struct.unpack('<I2c0I2c0', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local card = read_card(merges_key)
    if card.leads_to ~= '' and card.leads_to ~= winner then
        return ELSEWHERE
    elseif card.closed == 1 then
        return ABSORBED
    elseif #card.pending > 0 then
        return BUSY
    end
    local ledger = redis.call('GET', ledger_key) or EMPTY
    if not sound(ledger) then
        return CORRUPT
    end
    local answer = {DONE, redis.call('GET', profile_key), ledger, #card.absorbed}
    for _, id in ipairs(card.absorbed) do
        answer[#answer + 1] = id
    end
    all_ids(batch, ids_key, log, answer)
    if card.leads_to == '' then
        spend_holds(keys[at + 7], keys[at + 8], ledger)
        turn(ledger_key, ledger, MOVED, batch.now)
        card.own, card.leads_to = loser, winner
        write_card(merges_key, card)
    end
    return answer
end

-- keys: those of a seal, consents
-- frame: that of a seal
-- answer: a code, or {DONE, consents, profile, and so on}
local function seal_with_consents(batch, keys, at, frame)
    local answer = seal(batch, keys, at, frame)
    if type(answer) == 'table' then
        local consents = redis.pcall('GET', keys[at + 9]) -- of another type, they say nothing, and stop no merge
        table.insert(answer, 2, type(consents) == 'string' and consents)
    end
    return answer
end

-- keys: marker, profile, ledger, ids, merges of the winner
-- frame: loser u2 + bytes, writes u8, expected record u4 + bytes (none: there is no record), record u4 + bytes,
--        trimmed_before i8, entries u4 + bytes, absorbed u4 times u2 + bytes,
--        ids u4 times: id c16, what is remembered u4 + bytes
-- answer: a code
local function absorb(batch, keys, at, frame, also, lapsed)
    local marker_key, profile_key, ledger_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local ids_key, merges_key = keys[at + 4], keys[at + 5]
    local loser, writes, expected, record, trimmed_before, entries, count, next =
        struct.unpack('<I2c0BI4c0I4c0i8I4c0I4', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local card = read_card(merges_key)
    if card.leads_to ~= '' or place(card.absorbed, loser) then
        return DONE -- before it was sealed itself it absorbed all that was pending
    end
    local at_pending = place(card.pending, loser)
    if not at_pending then
        error('a sealed person is neither pending at the one it leads to nor absorbed')
    end
    if writes == 1 and (redis.call('GET', profile_key) or '') ~= expected then
        return DIFFERS
    end
    local ledger = redis.call('GET', ledger_key) or EMPTY
    if not sound(ledger) then
        return CORRUPT
    end
    table.remove(card.pending, at_pending)
    card.absorbed[#card.absorbed + 1] = loser
    for _ = 1, count do
        local id
        id, next = struct.unpack('<I2c0', frame, next)
        if not place(card.absorbed, id) then
            card.absorbed[#card.absorbed + 1] = id
        end
    end
    local current, previous = generations(batch, ids_key)
    local new = {}
    count, next = struct.unpack('<I4', frame, next)
    for _ = 1, count do
        local id, value
        id, value, next = struct.unpack('<c16I4c0', frame, next)
        if redis.call('HEXISTS', current, id) == 0 and redis.call('HEXISTS', previous, id) == 0 then
            new[#new + 1] = {id, value}
        end
    end
    local gate, appends, trimmed_here = struct.unpack('<i8i8i8', ledger)

    if also then
        also()
    end
    for _, pair in ipairs(new) do
        remember(batch, current, pair)
    end
    if writes == 1 then
        redis.call('SET', profile_key, record)
    end
    write(ledger_key, tightened(gate, batch.now), appends + #entries / WIDTH, math.max(trimmed_here, trimmed_before),
        #card.pending > 0 and EXPECTING or OPEN, lapsing(rest_of(ledger), lapsed or 0),
        string.sub(ledger, WIDTH + 1) .. entries)
    write_card(merges_key, card)
    return DONE
end

-- keys: those of an absorb, log, consents
-- frame: the second before which contacts of the loser that lapsed may be missing u4, what to do about consents, then that
--        of an absorb
-- answer: a code
local function absorb_with_consents(batch, keys, at, frame)
    local also, rest = consenting(keys[at + 6], keys[at + 7], string.sub(frame, 5))
    return absorb(batch, keys, at, rest, also, (struct.unpack('<I4', frame)))
end

-- keys: marker, profile, ledger, ids, merges of the loser
-- frame: winner
-- answer: a code
local function close(batch, keys, at, winner)
    local marker_key, profile_key, ledger_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local ids_key, merges_key = keys[at + 4], keys[at + 5]
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local card = read_card(merges_key)
    if card.leads_to ~= winner then
        return ELSEWHERE
    end
    if card.closed == 0 then
        local ledger = redis.call('GET', ledger_key)
        local gate, appends = struct.unpack('<i8i8', ledger)
        local current, previous = generations(batch, ids_key)
        redis.call('DEL', profile_key, current, previous)
        write(ledger_key, gate, appends, 0, MOVED, NONE6, '')
        card.closed, card.absorbed = 1, {}
        write_card(merges_key, card)
    end
    return DONE
end

-- keys: those of a close, consents
-- frame: winner
-- answer: a code
local function close_with_consents(batch, keys, at, winner)
    local code = close(batch, keys, at, winner)
    if code == DONE then
        redis.call('DEL', keys[at + 6])
    end
    return code
end

-- keys: marker, ledger, merges of the winner
-- frame: loser
-- answer: a code
local function forgo(batch, keys, at, loser)
    local marker_key, ledger_key, merges_key = keys[at + 1], keys[at + 2], keys[at + 3]
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local card = read_card(merges_key)
    local at_pending = place(card.pending, loser)
    if at_pending then
        local ledger = redis.call('GET', ledger_key)
        table.remove(card.pending, at_pending)
        if #card.pending == 0 and ledger and sound(ledger) then
            turn(ledger_key, ledger, OPEN, batch.now)
        end
        write_card(merges_key, card)
    end
    return DONE
end

-- keys: marker, identity
-- frame: profile id u2 + bytes, whom it led to u2 + bytes (none: it led to nobody)
-- answer: DONE or ELSEWHERE
local function name(batch, keys, at, frame)
    local marker_key, identity_key = keys[at + 1], keys[at + 2]
    local profile, former = struct.unpack('<I2c0I2c0', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local owner = redis.call('GET', identity_key) or ''
    if owner ~= SETTLED .. profile then
        if owner ~= (former == '' and '' or SETTLED .. former) then
            return ELSEWHERE
        end
        redis.call('SET', identity_key, SETTLED .. profile)
    end
    return DONE
end

-- Editions -------------------------------------------------------------------------------------------------------------

-- The catalogs that were put in force, by number. editions: `last` to the newest number; <n> to what it is, <n>:a to when
-- it was announced, <n>:s to since when it is in force, <n>:c to since when all contacts are known. replicas: id to the
-- edition that it has loaded u4, the one that it decides by u4 and when it was heard of i8. The files of an edition are a key of their own.

local NOT_NEXT = 1 -- and DONE, MARKER

local function number_at(key, field)
    return tonumber(redis.call('HGET', key, field) or 0)
end

-- keys: marker, editions, files, files of the one that is dropped for it
-- frame: number u4, number of the one that is dropped u4, what it is u4 + bytes, files
-- answer: a code
local function announce(batch, keys, at, frame)
    local marker_key, editions_key, files_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local number, dropped, told, from = struct.unpack('<I4I4I4c0', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    local last = number_at(editions_key, 'last')
    if last ~= number - 1 or (last > 0 and redis.call('HEXISTS', editions_key, string.format('%d:s', last)) == 0) then
        return NOT_NEXT
    end
    local name = string.format('%d', number)
    redis.call('SET', files_key, string.sub(frame, from))
    redis.call('HSET', editions_key, name, told, name .. ':a', string.format('%d', batch.now), 'last', name)
    if dropped > 0 then
        local old = string.format('%d', dropped)
        redis.call('HDEL', editions_key, old, old .. ':a', old .. ':s', old .. ':c')
        redis.call('DEL', keys[at + 4])
    end
    return DONE
end

-- keys: marker, editions, replicas
-- frame: replica c16, edition that it has loaded u4, edition that it decides by u4, patience i8, heard of within i8
-- answer: a code, or {newest edition, edition in force, replicas, those that have loaded the newest, those that decide by
--         the one in force}
local function follow(batch, keys, at, frame)
    local marker_key, editions_key, replicas_key = keys[at + 1], keys[at + 2], keys[at + 3]
    local replica, prepared, decides, patience, within = struct.unpack('<c16I4I4i8i8', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    redis.call('HSET', replicas_key, replica, struct.pack('<I4I4i8', prepared, decides, batch.now))
    local last = number_at(editions_key, 'last')
    local since = string.format('%d:s', last)
    local replicas, ready, turned, in_force = 0, 0, {}, last
    local heard = redis.call('HGETALL', replicas_key)
    for i = 1, #heard, 2 do
        local loaded, by, when = struct.unpack('<I4I4i8', heard[i + 1])
        if batch.now - when > within then
            redis.call('HDEL', replicas_key, heard[i])
        else
            replicas = replicas + 1
            ready = ready + (loaded >= last and 1 or 0)
            turned[replicas] = by
        end
    end
    if last > 0 and redis.call('HEXISTS', editions_key, since) == 0 then
        if ready == replicas or batch.now >= number_at(editions_key, string.format('%d:a', last)) + patience then
            redis.call('HSET', editions_key, since, string.format('%d', batch.now))
        else
            in_force = last - 1
        end
    end
    local there = 0
    for _, by in ipairs(turned) do
        there = there + (by >= in_force and 1 or 0)
    end
    return {last, in_force, replicas, ready, there}
end

-- keys: marker
-- frame: edition u4
-- answer: DONE or MARKER
local function advance(batch, keys, at, frame)
    local marker_key = keys[at + 1]
    local edition = struct.unpack('<I4', frame)
    local bears = edition_of(batch, redis.call('GET', marker_key))
    if not bears then
        return MARKER
    end
    if bears < edition then
        redis.call('SET', marker_key, marker_of(batch, edition))
    end
    return DONE
end

-- keys: marker, editions
-- frame: edition u4, since when all contacts are known i8, who says so and why
-- answer: a code
local function cover(batch, keys, at, frame)
    local marker_key, editions_key = keys[at + 1], keys[at + 2]
    local edition, since, from = struct.unpack('<I4i8', frame)
    if not edition_of(batch, redis.call('GET', marker_key)) then
        return MARKER
    end
    if number_at(editions_key, 'last') ~= edition then
        return NOT_NEXT
    end
    local name = string.format('%d:c', edition)
    local stated = redis.call('HGET', editions_key, name)
    if not stated or since < tonumber(string.match(stated, '^%d+')) then
        redis.call('HSET', editions_key, name, string.format('%d ', since) .. string.sub(frame, from))
    end
    return DONE
end

-- Versions -------------------------------------------------------------------------------------------------------------

local function takt_commit_v1(keys, args)
    return each(keys, args, 7, commit, CORRUPT)
end

local function takt_restore_v1(keys, args)
    return each(keys, args, 7, restore, CORRUPT)
end

local function takt_mark_v1(keys, args)
    return each(keys, args, 7, mark)
end

local function takt_put_v1(keys, args)
    return each(keys, args, 3, put)
end

local function takt_rewrite_v1(keys, args)
    return each(keys, args, 6, rewrite, CORRUPT)
end

local function takt_claim_v1(keys, args)
    return each(keys, args, 4, claim)
end

local function takt_settle_v1(keys, args)
    return each(keys, args, 4, settle)
end

local function takt_expect_v1(keys, args)
    return each(keys, args, 3, expect, CORRUPT)
end

local function takt_seal_v1(keys, args)
    return each(keys, args, 8, seal, CORRUPT)
end

local function takt_absorb_v1(keys, args)
    return each(keys, args, 5, absorb, CORRUPT)
end

local function takt_close_v1(keys, args)
    return each(keys, args, 5, close)
end

local function takt_forgo_v1(keys, args)
    return each(keys, args, 3, forgo)
end

local function takt_name_v1(keys, args)
    return each(keys, args, 2, name)
end

local function takt_allot_v1(keys, args)
    return each(keys, args, 3, allot)
end

local function takt_give_v1(keys, args)
    return each(keys, args, 3, give)
end

local function takt_receive_v1(keys, args)
    return each(keys, args, 3, receive)
end

local function takt_sweep_v1(keys, args)
    return each(keys, args, 6, sweep)
end

local function takt_announce_v1(keys, args)
    return each(keys, args, 4, announce)
end

local function takt_follow_v1(keys, args)
    return each(keys, args, 3, follow)
end

local function takt_advance_v1(keys, args)
    return each(keys, args, 1, advance)
end

local function takt_cover_v1(keys, args)
    return each(keys, args, 2, cover)
end

local function takt_put_v2(keys, args)
    return each(keys, args, 5, put_with_consents)
end

local function takt_seal_v2(keys, args)
    return each(keys, args, 9, seal_with_consents, CORRUPT)
end

local function takt_absorb_v2(keys, args)
    return each(keys, args, 7, absorb_with_consents, CORRUPT)
end

local function takt_close_v2(keys, args)
    return each(keys, args, 6, close_with_consents)
end

local function takt_commit_v2(keys, args)
    return each(keys, args, 7, commit_compacting, CORRUPT)
end

local function takt_rewrite_v2(keys, args)
    return each(keys, args, 6, rewrite_compacting, CORRUPT)
end
