"""How people ask a robot about itself, by topic of the report."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.clauses.templates import Templates, templates

REPORT_QUESTIONS: dict[str, Templates] = {
    "battery": templates(
        "3* how much battery is left; 2* how much battery do you have; 2* how much battery do you have left;"
        "2* what's your battery level; what is your battery level; how's your battery; how is your battery;"
        "how's your battery doing; how full is your battery; is your battery low; is your battery full;"
        "is your battery okay; is your battery running low; are you low on battery; are you running out of battery;"
        "are you running low on power; how much power is left; how much power do you have; how much charge is left;"
        "how much charge do you have left; how much juice is left; how much juice do you have left;"
        "are you fully charged; are you charged; are you charged up; do you need charging; do you need to charge;"
        "do you need a charge; do you need to be charged; how long will your battery last;"
        "how long does your battery last; how long can you keep running on this battery;"
        "what percentage is your battery at; what's your battery percentage; what's the battery level;"
        "what's the battery status; what is the battery charge; what's your charge level; how charged are you;"
        "do you have enough battery; do you have enough power left; have you got enough battery left;"
        "is there enough charge left; how low is your battery; is the battery almost empty; is your battery dead;"
        "how many percent do you have left; how many percent battery do you have; what's your power level;"
        "does your battery need charging; when do you need to charge; how is the battery looking; how's the battery;"
        "what is the state of your battery; what's your state of charge; do you still have battery;"
        "do you still have enough power; will your battery last; how much longer will your battery last;"
        "what does your battery say; can you tell me your battery level; could you tell me how much battery is left;"
        "do you know how much charge you have left; what is the remaining battery; how much energy do you have left"
    ),
    "status": templates(
        "3* what's your status; 3* what is your status; 3* how are you doing; 2* is everything okay;"
        "2* is everything all right; is everything alright; is everything ok; 2* are you okay; are you all right;"
        "2* any errors; any problems; any issues; any faults; any warnings; any trouble; are there any errors;"
        "are there any problems; do you have any errors; do you have any problems; do you have any faults;"
        "are you working properly; are you working okay; are you working; are you functioning properly;"
        "are all your systems okay; are all systems go; is everything working; is everything working properly;"
        "is anything wrong; is something wrong; what's wrong with you; what's wrong; what's the matter with you;"
        "is there a problem; is there an error; did something go wrong; how are your systems; what's your condition;"
        "what condition are you in; are you damaged; is anything broken; how are things going; how are you feeling;"
        "how are you holding up; everything okay; everything all right; everything good; everything fine with you;"
        "are you ready; are you operational; are you online; what's the status; what is your current status;"
        "what's your system status; what state are you in; are you in good shape; are you having any trouble;"
        "do you have any issues; are you stuck; is your system running fine; can you give me a status update;"
        "could you tell me your status; are you feeling okay; do you feel okay; are you doing okay;"
        "are you doing fine; did you get any errors; have you got any errors"
    ),
    "position": templates(
        "6* where are you; 2* where are you now; where are you right now; where are you at; what's your position;"
        "what is your position; what's your location; what is your location; what's your current position;"
        "what is your current location; which room are you in; what room are you in; in which room are you;"
        "where do you stand; where are you standing; where have you gone; where did you go; where have you got to;"
        "what are your coordinates; where exactly are you; whereabouts are you; which floor are you on;"
        "what floor are you on; where are you located; where are you currently; what part of the building are you in;"
        "where on the map are you; do you know where you are; where are you hiding; where on earth are you;"
        "can you tell me where you are; could you tell me your position; hey where are you;"
        "where have you been parked; where are you parked; what place are you at; where in the house are you"
    ),
    "speed": templates(
        "3* how fast are you going; 2* how fast are you; 2* how fast are you driving; how fast are you moving;"
        "2* what's your speed; 2* what is your speed; what's your current speed; what is your current speed;"
        "how fast are you travelling; how fast are you traveling; how fast are you right now;"
        "at what speed are you going; what speed are you going; what speed are you driving at;"
        "what speed are you doing; what speed are you set to; how fast do you go; how quickly are you moving;"
        "how slow are you going; how fast is that; what is your speed set to; what's your velocity;"
        "what is your velocity; what speed are you at; how many meters per second are you doing;"
        "what's the current speed; what is the driving speed; can you tell me your speed;"
        "could you tell me how fast you're going; are you going at full speed; how fast are you going now;"
        "how fast are you rolling; what speed are you running at"
    ),
    "temperature": templates(
        "3* are you overheating; 2* how hot are you; 2* what's your temperature; 2* what is your temperature;"
        "are you too hot; are you hot; are you getting hot; are you getting too hot; are you running hot;"
        "are your motors hot; are your motors getting hot; are your motors too warm; how warm are your motors;"
        "how hot are your motors; how hot is your cpu; is your processor overheating; is your cpu too hot;"
        "is your battery getting hot; how warm are you; are you warm; are you getting warm; is anything overheating;"
        "what's your internal temperature; what is your core temperature; what's your cpu temperature;"
        "what's your motor temperature; what temperature are you at; what temperature are you running at;"
        "what's your operating temperature; do you feel hot; do you feel warm; do you need to cool down;"
        "is your temperature okay; is your temperature normal; is your temperature too high; how's your temperature;"
        "can you tell me your temperature; are your joints overheating; did you overheat; is your engine too hot;"
        "what is your are your electronics overheating"
    ),
    "task": templates(
        "5* what are you doing; 2* what are you doing right now; what are you doing now; 2* what are you up to;"
        "2* what are you working on; what's your task; 2* what is your current task; what's your current task;"
        "what is your task; what task are you on; what's your current job; what job are you doing;"
        "what is your job right now; are you busy; are you busy right now; are you doing anything;"
        "are you doing something; are you working on anything; what are you busy with; what's keeping you busy;"
        "what are you trying to do; what have you been told to do; what were you doing;"
        "what are you supposed to be doing; what is your mission; what's your mission; what's your assignment;"
        "which task are you working on; what task are you doing; what are you currently doing;"
        "what are you about to do; what is it you're doing; what are you doing there; what are you doing over there;"
        "do you have a task; do you have anything to do; can you tell me what you're doing;"
        "what on earth are you doing; what keeps you busy; what's your current activity; which job are you on;"
        "what's on your to-do list right now"
    ),
    "holding": templates(
        "4* what are you holding; 3* what's in your hand; 2* what is in your hand; 2* what do you have in your hand;"
        "what have you got in your hand; what have you got there; what are you carrying; what's in your gripper;"
        "what is in your gripper; what do you have in your gripper; what's in your claw; are you holding anything;"
        "are you holding something; are you carrying anything; are you carrying something;"
        "do you have anything in your hand; do you have something in your hand;"
        "do you have something in your gripper; is there anything in your hand; is there anything in your gripper;"
        "is there something in your gripper; is there something in your hand; is your hand empty;"
        "is your gripper empty; are your hands empty; are your hands full; is your hand full;"
        "what's that in your hand; what is that in your hand; what's that you're holding;"
        "what are you holding right now; what are you holding there; what object are you holding;"
        "which object is in your gripper; what thing are you holding; can you tell me what you're holding;"
        "do you hold anything; what are you gripping; what did you grab there; have you got anything in your gripper;"
        "have you got something in your hand; is your claw holding anything; what's between your fingers;"
        "what do you have there in your hand; what are you clutching; is your claw empty"
    ),
}

REPORT_ORDERS: dict[str, Templates] = {
    "battery": templates(
        "3* report your battery level; 2* tell me your battery level; tell me how much battery is left;"
        "tell me how much battery you have left; report your battery; report the battery status; report battery;"
        "give me your battery level; give me the battery status; give me a battery report;"
        "show me your battery level; let me know how much battery is left; tell me how much charge you have left;"
        "tell me your battery percentage; tell me how your battery is doing; read out your battery level;"
        "report your charge; report your power level; tell me how much power you've got;"
        "tell me if you need charging; tell me how full your battery is; let me know your battery level;"
        "tell me the battery level; state your battery level; tell me your charge"
    ),
    "status": templates(
        "4* report your status; 2* tell me your status; 2* give me a status report; 2* give me a status update;"
        "give me your status; report status; tell me how you are doing; tell me how you're doing; report any errors;"
        "report any problems; tell me if everything is okay; let me know your status; show me your status;"
        "tell me what's wrong; tell me what is wrong with you; report your system status;"
        "tell me your current status; give me an update on your status; report your condition; state your status;"
        "tell me about any errors; tell me the status of your systems; let me know how you're doing;"
        "let me know if you have any problems; tell me if you have any errors; report errors;"
        "report your current status; report your state"
    ),
    "position": templates(
        "3* tell me where you are; 3* report your position; 2* report your location; tell me your position;"
        "tell me your location; give me your position; give me your location; tell me where you are right now;"
        "let me know where you are; tell me which room you are in; tell me what room you're in;"
        "show me where you are; report where you are; state your position; tell me your coordinates;"
        "give me your coordinates; report your current position; report your current location;"
        "report your coordinates; let me know your position"
    ),
    "speed": templates(
        "3* tell me your speed; 3* report your speed; 2* tell me how fast you are going;"
        "tell me how fast you're going; give me your speed; report your current speed;"
        "tell me how fast you are driving; let me know how fast you are; tell me how fast you're moving;"
        "let me know your speed; tell me your current speed; state your speed; show me your speed;"
        "report how fast you're going; report your velocity; tell me what speed you're going"
    ),
    "temperature": templates(
        "3* report your temperature; 2* tell me your temperature; tell me how hot you are;"
        "tell me if you're overheating; give me your temperature; give me a temperature reading;"
        "tell me how warm your motors are; report temperature; report the temperature of your motors;"
        "let me know if you are overheating; let me know your temperature; tell me if you are too hot;"
        "report your motor temperature; report your cpu temperature; show me your temperature;"
        "report your internal temperature; state your temperature; tell me your motor temperature"
    ),
    "task": templates(
        "4* tell me what you are doing; 2* tell me what you're doing; 2* report your current task; report your task;"
        "tell me your current task; tell me what you're working on; let me know what you are doing;"
        "tell me what you're up to; report what you are doing; tell me what your task is; tell me your task;"
        "state your current task; tell me what you're busy with; give me your current task;"
        "explain what you are doing; tell me what job you're on; let me know what you're working on;"
        "tell me what you are doing right now"
    ),
    "holding": templates(
        "4* tell me what you are holding; 2* tell me what you're holding; 2* tell me what is in your hand;"
        "tell me what's in your hand; tell me what you have in your hand; report what you are holding;"
        "report what is in your gripper; tell me what's in your gripper; let me know what you're holding;"
        "tell me if you're holding anything; tell me what you're carrying; show me what you're holding;"
        "tell me what you've got in your hand; say what you are holding; tell me what you have in your gripper;"
        "show me what's in your hand; show me what you have in your hand; tell me what's in your claw"
    ),
}

REPORT_WORDS: dict[str, Templates] = {
    "battery": templates(
        "3* battery; 3* battery level; 2* battery status; battery report; battery percentage; your battery level;"
        "remaining battery; charge level; battery check; power level; the battery level; current battery level;"
        "i need to know how much battery is left; i'd like to know your battery level;"
        "i want to know your battery level; i need your battery level; i wonder how much battery is left"
    ),
    "status": templates(
        "4* status; 3* status report; 2* status update; system status; current status; your status; robot status;"
        "error report; status check; i need a status report; i want a status update; i'd like to know your status;"
        "i'd like a status report; i need your status; i want to know if everything is okay"
    ),
    "position": templates(
        "2* position; 2* location; 2* current position; current location; your position; your location;"
        "position report; i need to know where you are; i'd like to know where you are; i need your position;"
        "i want to know where you are; i can't see you, where are you;"
        "i don't know where you are, report your position"
    ),
    "speed": templates(
        "2* current speed; your speed; speed report; your current speed; i'd like to know how fast you are going;"
        "i need to know your speed; i want to know how fast you're going; speed status"
    ),
    "temperature": templates(
        "temperature report; your temperature; motor temperature; i need to know your temperature;"
        "i'd like to know if you're overheating; temperature status; cpu temperature; i want to know how hot you are"
    ),
    "task": templates(
        "2* current task; your task; task report; your current task; i'd like to know what you're doing; task status;"
        "i need to know what you are doing; i want to know what you're working on; i want to know what you are doing"
    ),
    "holding": templates(
        "i'd like to know what you're holding; i want to know what's in your hand;"
        "i need to know what you are holding; i can't see what you're holding, what is it;"
        "i want to know what you're carrying; i wonder what you have in your hand; gripper contents;"
        "i'd like to know what's in your gripper"
    ),
}
