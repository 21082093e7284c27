// One line a broken lock.
#include "locks/mutants/gallery.h"

#include "locks/mutants/abandoned_ticket.h"
#include "locks/mutants/broken_promise.h"
#include "locks/mutants/busy_doorman.h"
#include "locks/mutants/credulous_semaphore.h"
#include "locks/mutants/deaf_lock_file.h"
#include "locks/mutants/double_takeover.h"
#include "locks/mutants/early_wake.h"
#include "locks/mutants/endless_turnstile.h"
#include "locks/mutants/eternal_writers.h"
#include "locks/mutants/forgetful_host.h"
#include "locks/mutants/forgotten_sleepers.h"
#include "locks/mutants/generous_upgrade.h"
#include "locks/mutants/hasty_lock_file.h"
#include "locks/mutants/hasty_reader.h"
#include "locks/mutants/hasty_timeout.h"
#include "locks/mutants/impatient_queue.h"
#include "locks/mutants/inherited_lock_file.h"
#include "locks/mutants/joining_reader.h"
#include "locks/mutants/leaky_semaphore.h"
#include "locks/mutants/lingering_release.h"
#include "locks/mutants/local_wake.h"
#include "locks/mutants/lonely_reader.h"
#include "locks/mutants/mistaken_heir.h"
#include "locks/mutants/narrow_ticket.h"
#include "locks/mutants/orphaned_lock.h"
#include "locks/mutants/polite_tries.h"
#include "locks/mutants/process_identity.h"
#include "locks/mutants/pushy_newcomer.h"
#include "locks/mutants/relaxed_acquire.h"
#include "locks/mutants/relaxed_release.h"
#include "locks/mutants/rude_try.h"
#include "locks/mutants/shallow_reentry.h"
#include "locks/mutants/short_row.h"
#include "locks/mutants/silent_reader.h"
#include "locks/mutants/split_test_and_set.h"
#include "locks/mutants/stingy_semaphore.h"
#include "locks/mutants/stubborn_flags.h"
#include "locks/mutants/tidy_lock_file.h"
#include "locks/mutants/trusting_sleeper.h"
#include "locks/mutants/unfenced_flags.h"
#include "locks/spec_of.h"

namespace hobbs::mutants {

// clang-format off: one line a lock.
std::vector<Mutant> gallery() {
  return {
      {spec_of<AbandonedTicket>("abandoned_ticket"), {"TO-5", "LV-1"}},
      {spec_of<BrokenPromise>("broken_promise"), {"FA-4"}},
      {spec_of<BusyDoorman>("busy_doorman"), {"MU-2", "ME-1", "MM-1"}},
      {spec_of<CredulousSemaphore>("credulous_semaphore"), {"TR-2", "LV-1"}},
      {spec_of<EarlyWake>("early_wake"), {"LV-1"}},
      {spec_of<EndlessTurnstile>("endless_turnstile"), {"TO-3"}},
      {spec_of<EternalWriters>("eternal_writers"), {"FA-2"}},
      {spec_of<ForgetfulHost>("forgetful_host"), {"RE-1"}},
      {spec_of<ForgottenSleepers>("forgotten_sleepers"), {"LV-1"}},
      {spec_of<GenerousUpgrade>("generous_upgrade"), {"RW-4", "RW-1"}},
      {spec_of<HastyReader>("hasty_reader"), {"RW-1", "MM-1", "MM-2"}},
      {spec_of<HastyTimeout>("hasty_timeout"), {"TO-1", "TO-9"}},
      {spec_of<ImpatientQueue>("impatient_queue"), {"LV-1"}},
      {spec_of<JoiningReader>("joining_reader"), {"FA-1"}},
      {spec_of<LeakySemaphore>("leaky_semaphore"), {"TO-3", "TO-5", "TR-2", "LV-1"}},
      {spec_of<LingeringRelease>("lingering_release"), {"AB-5"}},
      {spec_of<LocalWake>("local_wake"), {"LV-1"}},
      {spec_of<LonelyReader>("lonely_reader"), {"RW-2"}},
      {spec_of<MistakenHeir>("mistaken_heir"), {"ME-1"}},
      {spec_of<NarrowTicket>("narrow_ticket"), {"LV-1", "LV-2", "ME-1", "ME-7"}},
      {spec_of<OrphanedLock>("orphaned_lock"), {"CR-5"}},
      {spec_of<PoliteTries>("polite_tries"), {"TR-2"}},
      {spec_of<ProcessIdentity>("process_identity"), {"ME-1", "MM-1"}},
      {spec_of<PushyNewcomer>("pushy_newcomer"), {"FA-3"}},
      {spec_of<RelaxedAcquire>("relaxed_acquire"), {"MM-1"}},
      {spec_of<RelaxedRelease>("relaxed_release"), {"MM-1"}},
      {spec_of<RudeTry>("rude_try"), {"LV-1"}},
      {spec_of<ShallowReentry>("shallow_reentry"), {"RE-1", "ME-1", "ME-3"}},
      {spec_of<ShortRow>("short_row"), {"LV-1", "LV-2", "ME-1", "TR-2"}},
      {spec_of<SilentReader>("silent_reader"), {"LV-1"}},
      {spec_of<SplitTestAndSet>("split_test_and_set"), {"ME-1", "MM-1", "ME-2"}},
      {spec_of<StingySemaphore>("stingy_semaphore"), {"LV-1"}},
      {spec_of<StubbornFlags>("stubborn_flags"), {"LV-1"}},
      {spec_of<TrustingSleeper>("trusting_sleeper"), {"ME-1", "MM-1"}},
      {spec_of<UnfencedFlags>("unfenced_flags"), {"ME-1", "MM-1"}},
      {path_spec_of<HastyLockFile>("hasty_lock_file"), {"ME-1", "ME-3"}},
      {path_spec_of<TidyLockFile>("tidy_lock_file"), {"ME-1"}},
      {path_spec_of<InheritedLockFile>("inherited_lock_file"), {"FK-5", "LV-1", "TR-2"}},
      {path_spec_of<DeafLockFile>("deaf_lock_file"), {"ME-1"}},
      {path_spec_of<DoubleTakeover>("double_takeover"), {"ME-1", "ME-3"}},
  };
}
// clang-format on

}  // namespace hobbs::mutants
