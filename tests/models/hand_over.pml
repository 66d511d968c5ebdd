/* The hand-over of engine/executor.cpp and engine/inbox.h, for Spin: lanes, pumps, thieves, work that ends on other
 * threads. A step of a process is one sequentially consistent operation of the code, or what only that thread can see.
 * What the code decides by times (whether a theft gains, whom to wake, whether a task ends within its launch) may go
 * either way. Checked: no task runs twice or before its predecessors, no lane has two pumps, nobody is at work when the
 * step is over (assertions), and the step gets over with all tasks done (no invalid end state; the claim `ends`).
 * check.sh runs it, with these macros; tests/models/CMakeLists.txt lists the variants.
 *   GRAPH 1..4; WINDOW 1, 2: tasks under way on a lane; STEAL; STEPS 1, 2; FAULT 1..6: a mistake that must be found */

#ifndef GRAPH
#define GRAPH 1
#endif
#ifndef WINDOW
#define WINDOW 1
#endif
#ifndef STEAL
#define STEAL 0
#endif
#ifndef STEPS
#define STEPS 1
#endif
#ifndef FAULT
#define FAULT 0
#endif

/* P0..P4: predecessors, a bit each; L0..L4: planned lanes. */
#if GRAPH == 1 /* one before two on the other lane, and one behind both */
#define LANES 2
#define TASKS 4
#define P0 0
#define P1 1
#define P2 1
#define P3 6
#define L0 0
#define L1 1
#define L2 1
#define L3 0
#elif GRAPH == 2 /* three without order on one lane, the other has nothing but thefts and the last */
#define LANES 2
#define TASKS 4
#define P0 0
#define P1 0
#define P2 0
#define P3 7
#define L0 0
#define L1 0
#define L2 0
#define L3 1
#elif GRAPH == 3 /* two before two, across three lanes */
#define LANES 3
#define TASKS 4
#define P0 0
#define P1 0
#define P2 3
#define P3 3
#define L0 0
#define L1 1
#define L2 2
#define L3 2
#else /* five on two lanes: to and fro */
#define LANES 2
#define TASKS 5
#define P0 0
#define P1 1
#define P2 1
#define P3 2
#define P4 12
#define L0 0
#define L1 0
#define L2 1
#define L3 1
#define L4 0
#endif
#ifndef P4
#define P4 0
#define L4 0
#endif

#define BY_TASK(t, a, b, c, d, e) ((t) == 0 -> a : ((t) == 1 -> b : ((t) == 2 -> c : ((t) == 3 -> d : e))))
#define BEFORE(t) BY_TASK(t, P0, P1, P2, P3, P4)
#define PLANNED(t) BY_TASK(t, L0, L1, L2, L3, L4)
#define ONES(m) (((m) & 1) + (((m) >> 1) & 1) + (((m) >> 2) & 1) + (((m) >> 3) & 1))
#define FIRST(m) ((m) & 1 -> 0 : ((m) & 2 -> 1 : ((m) & 4 -> 2 : ((m) & 8 -> 3 : 4))))
#define LAST(m) ((m) & 16 -> 4 : ((m) & 8 -> 3 : ((m) & 4 -> 2 : ((m) & 2 -> 1 : 0))))
#define ALL ((1 << TASKS) - 1)
#define NONE 255
#define EMPTY 254
#define ASLEEP 253
#define TOLD 252

byte word[LANES];     /* the inboxes */
byte after[TASKS];
bool locked[LANES];
byte ready[LANES];    /* sets of tasks, a bit each; guarded by the lock */
byte fresh[LANES];    /* the pump's */
bool hungry_lane[LANES];
byte hungry;
byte pending[TASKS];
byte outstanding;
bool over;

byte arena[LANES];    /* pumps that have been started there; its one thread runs one after another */
bool in_use[LANES * WINDOW];
bool posted[LANES * WINDOW]; /* under way, to end on another thread */
bool foreign[LANES * WINDOW];
byte slot_task[LANES * WINDOW];

/* What the checks alone look at. */
bool awake[LANES];    /* a pump has been started and has not fallen asleep */
byte at_work;         /* pumps, and threads that end a task */
byte started;
byte done;
bool all_over;

#if STEAL
#define LOCK(lane) !locked[lane] -> locked[lane] = true
#define UNLOCK(lane) locked[lane] = false
#define FREE(lane) !locked[lane]
#else
#define LOCK(lane) true
#define UNLOCK(lane) true
#define FREE(lane) true
#endif

inline arm(lane) {
  atomic {
    assert(!awake[lane]);
    assert(!over && outstanding > 0);
    awake[lane] = true;
    at_work++;
    outstanding++;
    arena[lane]++;
  }
}

/* REQUIRES: within an atomic step, as do the next three. */
inline finish(count) {
  assert(outstanding >= (count));
  outstanding = outstanding - (count);
  at_work--;
  if
  :: outstanding == 0 -> assert(at_work == 0); over = true
  :: else
  fi
}

/* Inbox::send, and the caller's part. */
inline send(lane, task) {
  w = word[lane];
  do
  :: atomic { word[lane] == w -> after[task] = w; word[lane] = task }; break
  :: atomic { word[lane] != w -> w = word[lane] }
  od;
  if
#if FAULT == 6 /* starts a pump wherever nothing lay there */
  :: w == ASLEEP || w == EMPTY -> arm(lane)
#else
  :: w == ASLEEP -> arm(lane)
#endif
  :: else
  fi;
  w = 0
}

/* Inbox::wake, and the caller's part. */
inline wake(lane) {
  do
  :: atomic { word[lane] == ASLEEP -> word[lane] = EMPTY }; arm(lane); break
#if FAULT == 2 /* does not tell a pump that is awake */
  :: word[lane] != ASLEEP -> break
#elif FAULT == 4 /* looks twice, and gives up where the pump falls asleep in between */
  :: word[lane] == EMPTY ->
     if
     :: atomic { word[lane] == EMPTY -> word[lane] = TOLD }
     :: word[lane] != EMPTY
     fi;
     break
  :: word[lane] != ASLEEP && word[lane] != EMPTY -> break
#else
  :: atomic { word[lane] == EMPTY -> word[lane] = TOLD }; break
  :: word[lane] != ASLEEP && word[lane] != EMPTY -> break
#endif
  od
}

/* Inbox::read into the queue; `seen`: there was something. */
inline read(lane, seen) {
  if
  :: word[lane] == EMPTY || word[lane] == ASLEEP -> seen = false
  :: else ->
     w = word[lane];
     word[lane] = EMPTY;
     do
     :: w < TOLD -> assert(!(ready[lane] & (1 << w))); ready[lane] = ready[lane] | (1 << w); w = after[w]
     :: else -> break
     od;
     w = 0;
     seen = true
  fi
}

/* Any lane but this, or none: the code reads who is hungry without order. */
inline choose_thief(victim) {
  thief = NONE;
#if STEAL
  if
  :: hungry > 0 && ready[victim] != 0 ->
     if
     :: victim != 0 -> thief = 0
     :: victim != 1 -> thief = 1
#if LANES > 2
     :: victim != 2 -> thief = 2
#endif
     :: true
     fi
  :: else
  fi
#endif
}

inline hand_over(lane, task) {
  send(lane, task);
#if STEAL
  if
  :: hungry > 0 ->
     atomic { FREE(lane) -> read(lane, seen); choose_thief(lane); seen = false };
     if
     :: thief != NONE -> wake(thief)
     :: else
     fi;
     thief = NONE
  :: else
  fi
#endif
}

/* `here`: the lane whose fresh tasks take what becomes ready for it, or NONE. */
inline end_task(task, here) {
  do
  :: atomic {
       next < TASKS ->
       do
       :: next < TASKS && !(BEFORE(next) & (1 << task)) -> next++
       :: else -> break
       od;
       if
       :: next < TASKS ->
          pending[next]--;
          last = (pending[next] == 0);
          if
          :: last -> pending[next] = ONES(BEFORE(next))
          :: else
          fi;
          if
          :: last && PLANNED(next) == here -> fresh[me] = fresh[me] | (1 << next); last = false
          :: else
          fi
       :: else
       fi
     };
     if
     :: last -> hand_over(PLANNED(next), next); last = false
     :: else
     fi;
     next++
  :: atomic { next >= TASKS -> next = 0; break }
  od
}

inline set_hungry(lane, value) {
#if STEAL
  if
  :: atomic { hungry_lane[lane] != value -> hungry_lane[lane] = value; hungry = (value -> hungry + 1 : hungry - 1) }
  :: else
  fi
#else
  skip
#endif
}

#if STEAL
/* Looks at each other lane under its lock, then takes from one, if that still gains. */
inline steal() {
  do
  :: atomic {
       next < LANES && next != me && FREE(next) ->
       read(next, seen);
       if
       :: ready[next] != 0 -> best = next
       :: true
       fi;
       seen = false;
       next++
     }
  :: next == me -> next++
  :: atomic { next == LANES -> next = 0; break }
  od;
  if
  :: atomic {
       best != NONE && FREE(best) ->
       if
       :: ready[best] != 0 ->
          fresh[me] = fresh[me] | (1 << LAST(ready[best]));
          ready[best] = ready[best] & ~(1 << LAST(ready[best]))
       :: true
       fi;
       best = NONE
     }
  :: best == NONE
  fi
}
#endif

#if WINDOW == 1
#define OTHER_IN_USE(slot) false
#define OTHER(slot) slot
#else
#define OTHER(slot) ((slot) % 2 -> (slot) - 1 : (slot) + 1)
#define OTHER_IN_USE(slot) in_use[OTHER(slot)]
#endif

/* Executor::Impl::pump with take: found a task, found nothing, or asleep. */
proctype Pump(byte me) {
  byte slot = NONE, task, ended, w, next, best = NONE, thief = NONE;
  bool seen, sleep, last;

end_idle:
  if
  :: atomic { arena[me] > 0 -> arena[me]-- }
  fi;

take:
  atomic { LOCK(me); ready[me] = ready[me] | fresh[me]; fresh[me] = 0; read(me, seen) };
look:
  atomic {
    if
    :: slot == NONE && !in_use[me * WINDOW] -> slot = me * WINDOW; in_use[slot] = true
#if WINDOW == 2
    :: slot == NONE && in_use[me * WINDOW] && !in_use[me * WINDOW + 1] -> slot = me * WINDOW + 1; in_use[slot] = true
#endif
    :: else
    fi;
    if
    :: slot != NONE && ready[me] != 0 ->
       task = FIRST(ready[me]);
       foreign[slot] = (PLANNED(task) != me);
       if
       :: OTHER_IN_USE(slot) && (foreign[slot] || foreign[OTHER(slot)])
       :: else ->
          ready[me] = ready[me] & ~(1 << task);
          slot_task[slot] = task;
          choose_thief(me);
          UNLOCK(me);
          seen = false;
          sleep = false;
          goto found
       fi
    :: else
    fi;
#if STEAL
    if
    :: slot != NONE && ready[me] == 0 && !OTHER_IN_USE(slot) && (!sleep || seen) ->
       UNLOCK(me);
       seen = false;
       goto nothing
    :: else
    fi;
#endif
    if
    :: slot != NONE -> in_use[slot] = false; slot = NONE
    :: else
    fi;
    task = 0
  };
  if
#if FAULT == 1 /* looks and stores */
  :: word[me] == EMPTY -> atomic { word[me] = ASLEEP; awake[me] = false; UNLOCK(me); seen = false; sleep = false }
#else
  :: atomic { word[me] == EMPTY -> word[me] = ASLEEP; awake[me] = false; UNLOCK(me); seen = false; sleep = false }
#endif
  :: atomic { word[me] != EMPTY -> read(me, seen); goto look }
  fi;
  atomic { finish(ended + 1); ended = 0; goto end_idle };

#if STEAL
nothing:
  set_hungry(me, true);
  steal();
  sleep = (fresh[me] == 0);
  goto take;
#endif

found:
  set_hungry(me, false);
  if
  :: thief != NONE -> wake(thief)
  :: else
  fi;
  atomic {
    thief = NONE;
    assert(!over);
    assert(!(started & (1 << task)));
    assert((BEFORE(task) & ~done) == 0);
    started = started | (1 << task);
    if
    :: done = done | (1 << task); ended++ /* within the launch */
    :: posted[slot] = true; slot = NONE; task = 0; goto take
    fi
  };
  end_task(task, me);
  atomic { task = 0; goto take }
}

/* Executor::Impl::end_elsewhere, for the tasks of one slot. */
proctype Ender(byte slot) {
  byte me = slot / WINDOW, w, next, thief = NONE;
  bool seen, last;

end_idle:
  if
  :: atomic { posted[slot] -> posted[slot] = false; at_work++; done = done | (1 << slot_task[slot]) }
  fi;
#if FAULT == 3 /* counts down before it has sent what waited */
  atomic { at_work++; finish(1) };
#endif
  end_task(slot_task[slot], NONE);
#if FAULT == 5 /* frees the slot behind the wake */
  wake(me);
  in_use[slot] = false;
#else
  in_use[slot] = false;
  wake(me);
#endif
#if FAULT == 3
  at_work--;
#else
  atomic { finish(1) };
#endif
  goto end_idle
}

/* Executor::Impl::run. */
inline begin() {
  atomic {
    over = false;
    started = 0;
    done = 0;
    outstanding = TASKS;
    hungry = 0;
    i = 0;
    do
    :: i < LANES ->
       word[i] = ASLEEP;
       fresh[i] = 0;
       hungry_lane[i] = false;
       i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < TASKS ->
       after[i] = 0;
       if
       :: BEFORE(i) == 0 -> fresh[PLANNED(i)] = fresh[PLANNED(i)] | (1 << i); word[PLANNED(i)] = EMPTY
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < LANES ->
       if
       :: STEAL && fresh[i] == 0 -> hungry_lane[i] = true; hungry++
       :: else
       fi;
       assert(ready[i] == 0 && !awake[i] && !locked[i]);
       i++
    :: else -> break
    od;
    i = 0;
    roots = 0;
    do
    :: i < LANES -> roots = roots | ((fresh[i] != 0) << i); i++
    :: else -> break
    od;
    i = 0
  }
}

init {
  byte i, step, roots;
  atomic {
    do
    :: i < TASKS -> pending[i] = ONES(BEFORE(i)); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < LANES -> run Pump(i); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < LANES * WINDOW -> run Ender(i); i++
    :: else -> break
    od
  };
  do
  :: step < STEPS ->
     begin();
     do
     :: i < LANES && (roots & (1 << i)) -> arm(i); i++
     :: i < LANES && !(roots & (1 << i)) -> i++
     :: i == LANES -> break
     od;
     i = 0;
     over;
     assert(done == ALL && started == ALL);
     step++
  :: step == STEPS -> all_over = true; break
  od
}

#ifdef CLAIM
ltl ends { <> all_over }
#endif
