"""nova-compute, with the lab's directory of virt drivers on nova.virt's path (Nova loads drivers from nova.virt only)."""
import os
import sys
from nova.cmd.compute import main          # first: it patches eventlet in
import nova.virt
nova.virt.__path__.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'drivers', 'nova_virt'))
sys.exit(main())
